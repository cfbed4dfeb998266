//! Clocks, randomness, variables, configuration, the log, progress, standard streams and sockets.

use crate::bindings::toolhost::tool::progress;
use crate::bindings::wasi::cli::{
    environment, stderr, stdin, stdout, terminal_stderr, terminal_stdin, terminal_stdout,
};
use crate::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use crate::bindings::wasi::config::store as config;
use crate::bindings::wasi::io::poll;
use crate::bindings::wasi::logging::logging;
use crate::bindings::wasi::random::{insecure, insecure_seed, random};
use crate::bindings::wasi::sockets::network::IpAddressFamily;
use crate::bindings::wasi::sockets::{
    instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket,
};
use crate::note;

pub(crate) fn ask(all: &mut Vec<String>) {
    clocks(all);
    note!(
        all,
        random::get_random_bytes(16),
        random::get_random_u64(),
        insecure::get_insecure_random_bytes(16),
        insecure::get_insecure_random_u64(),
        insecure_seed::insecure_seed(),
        environment::get_environment(),
        environment::get_arguments(),
        environment::initial_cwd(),
        config::get("greeting"),
        config::get("absent"),
        config::get_all(),
        logging::log(logging::Level::Info, "imports", "asks"),
        progress::report(0.5, Some(1.0), Some("half")),
        progress::report(1.0, None, None),
    );
    streams(all);
    sockets(all);
}

fn clocks(all: &mut Vec<String>) {
    note!(
        all,
        wall_clock::now(),
        wall_clock::resolution(),
        monotonic_clock::now(),
        monotonic_clock::resolution(),
    );
    let soon = monotonic_clock::subscribe_duration(20_000_000);
    let late = monotonic_clock::subscribe_duration(60_000_000_000);
    let past = monotonic_clock::subscribe_instant(0);
    note!(
        all,
        late.ready(),
        poll::poll(&[&late, &past, &soon]),
        soon.block(),
        soon.ready(),
        poll::poll(&[&soon, &late, &past]),
        wall_clock::now(),
        monotonic_clock::now(),
    );
}

fn streams(all: &mut Vec<String>) {
    let input = stdin::get_stdin();
    let output = stdout::get_stdout();
    let errors = stderr::get_stderr();
    note!(
        all,
        input.subscribe().ready(),
        input.read(4),
        input.skip(4),
        input.blocking_read(4),
        input.blocking_skip(4),
        output.subscribe().ready(),
        output.check_write(),
        output.write(b"written\n"),
        output.flush(),
        output.blocking_flush(),
        output.blocking_write_and_flush(b"flushed\n"),
        output.write_zeroes(2),
        output.blocking_write_zeroes_and_flush(2),
        output.splice(&input, 4),
        output.blocking_splice(&input, 4),
        errors.blocking_write_and_flush(b"said\n"),
        terminal_stdin::get_terminal_stdin().is_some(),
        terminal_stdout::get_terminal_stdout().is_some(),
        terminal_stderr::get_terminal_stderr().is_some(),
    );
}

fn sockets(all: &mut Vec<String>) {
    let network = instance_network::instance_network();
    note!(
        all,
        ip_name_lookup::resolve_addresses(&network, "example.org").map(drop),
        tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4).map(drop),
        udp_create_socket::create_udp_socket(IpAddressFamily::Ipv6).map(drop),
    );
}
