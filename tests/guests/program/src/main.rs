//! A program: it knows a command line, and nothing of any host. Its first argument says what it does.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        eprintln!("usage: program <what> ...");
        return ExitCode::from(2);
    }
    let what = arguments.remove(0);
    match what.as_str() {
        // Each argument on a line of its own, as it came.
        "arguments" => {
            for argument in arguments {
                println!("{argument:?}");
            }
            ExitCode::SUCCESS
        }
        "upper" => {
            let mut text = String::new();
            match std::io::stdin().read_to_string(&mut text) {
                Ok(_) => println!("{}", text.to_uppercase()),
                Err(error) => eprintln!("stdin: {error}"),
            }
            ExitCode::SUCCESS
        }
        "json" => {
            println!("{{\"length\": {}}}", arguments.concat().len());
            ExitCode::SUCCESS
        }
        "bytes" => {
            let all: Vec<u8> = (0..=255).collect();
            let _ = std::io::stdout().write_all(&all);
            ExitCode::SUCCESS
        }
        "read" => match std::fs::read_to_string(arguments.concat()) {
            Ok(text) => {
                println!("{text}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("cannot read {}: {error}", arguments.concat());
                ExitCode::from(7)
            }
        },
        // Writes to a file until it cannot, and then once more.
        "fill" => {
            let piece = [b'x'; 8 << 10];
            let mut file = match std::fs::File::create(arguments.concat()) {
                Ok(file) => file,
                Err(error) => {
                    eprintln!("cannot make it: {error}");
                    return ExitCode::FAILURE;
                }
            };
            let mut failed = 0;
            for _ in 0..1_000 {
                if let Err(error) = file.write_all(&piece) {
                    eprintln!("cannot write: {error}");
                    failed += 1;
                    if failed == 2 {
                        return ExitCode::FAILURE;
                    }
                }
            }
            ExitCode::SUCCESS
        }
        "flood" => {
            let line = "x".repeat(1 << 16);
            for _ in 0..1_000 {
                println!("{line}");
            }
            ExitCode::SUCCESS
        }
        "loop" => loop {
            std::hint::spin_loop();
        },
        code => {
            eprintln!("it did not work");
            ExitCode::from(code.parse().unwrap_or(3))
        }
    }
}
