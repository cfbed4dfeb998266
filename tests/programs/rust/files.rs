//! Arguments, variables, folders and files.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time");
    let folder = format!("/data/rust{}-{}", since.as_nanos(), arguments[0]);
    fs::create_dir(&folder)?;
    for i in 0..80 {
        let mut file = fs::File::create(format!("{folder}/file {i}"))?;
        for line in 0..i {
            writeln!(file, "line {line}")?;
        }
    }
    fs::rename(format!("{folder}/file 0"), format!("{folder}/other"))?;
    let (mut lines, mut names) = (0, 0);
    for entry in fs::read_dir(&folder)? {
        let mut file = fs::File::open(entry?.path())?;
        let mut all = String::new();
        file.read_to_string(&mut all)?;
        file.seek(SeekFrom::Start(0))?;
        lines += BufReader::new(file).lines().count();
        names += 1;
    }
    fs::remove_dir_all(&folder)?;
    println!(
        "ok {names} {lines} {:?} {}",
        &arguments[1..],
        env::vars().count()
    );
    Ok(())
}
