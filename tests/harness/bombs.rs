//! Components that are small to send and large to compile, byte by byte: as text some of them would
//! take longer to translate than to refuse.

/// A number as the binary format has it.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).expect("seven bits");
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn section(id: u8, bytes: &[u8]) -> Vec<u8> {
    [&[id], &leb(bytes.len())[..], bytes].concat()
}

/// A core module of these functions, which take and give nothing.
fn module(functions: usize, body: &[u8]) -> Vec<u8> {
    let kinds = [leb(functions), vec![0; functions]].concat();
    let body = [&leb(body.len())[..], body].concat();
    let bodies = [leb(functions), body.repeat(functions)].concat();
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, b"\x01\x60\0\0"),
        section(3, &kinds),
        section(10, &bodies),
    ]
    .concat()
}

/// A component of one core module that nobody instantiates.
pub(crate) fn around(module: &[u8]) -> Vec<u8> {
    [b"\0asm\x0d\0\x01\0", &section(1, module)[..]].concat()
}

fn of_functions(count: usize, code: &[u8]) -> Vec<u8> {
    around(&module(count, &[&[0], code, &[0x0b]].concat()))
}

/// One function of so many blocks, side by side.
pub(crate) fn blocks(count: usize) -> Vec<u8> {
    of_functions(1, &[2, 0x40, 0x0b].repeat(count))
}

/// One function of so many blocks, each within the other.
pub(crate) fn nested_blocks(depth: usize) -> Vec<u8> {
    of_functions(1, &[[2, 0x40].repeat(depth), vec![0x0b; depth]].concat())
}

/// So many functions that do nothing.
pub(crate) fn functions(count: usize) -> Vec<u8> {
    of_functions(count, &[])
}

/// So many functions with a jump table of 60,000 targets each.
pub(crate) fn jump_tables(count: usize) -> Vec<u8> {
    let table = [
        &[2, 0x40, 0x41, 0, 0x0e],
        &leb(60_000)[..],
        &vec![0; 60_001],
        &[0x0b],
    ]
    .concat();
    of_functions(count, &table)
}

/// So many data segments of one byte.
pub(crate) fn data_segments(count: usize) -> Vec<u8> {
    let data = [leb(count), b"\0\x41\0\x0b\x01x".repeat(count)].concat();
    let module = [
        &module(1, &[0, 0x0b])[..],
        &section(5, &[1, 0, 1]),
        &section(11, &data),
    ];
    // Memory comes before code, data after it.
    let [code, memory, data] = module;
    let (before, code) = code.split_at(code.len() - section(10, &[1, 2, 0, 0x0b]).len());
    around(&[before, memory, code, data].concat())
}

/// So many core instances of an empty module.
pub(crate) fn core_instances(count: usize) -> Vec<u8> {
    let empty = section(1, b"\0asm\x01\0\0\0");
    let instances = [leb(count), b"\0\0\0".repeat(count)].concat();
    [b"\0asm\x0d\0\x01\0", &empty[..], &section(2, &instances)].concat()
}

/// Each component holds another and makes two instances of it: two to the power of `levels` in all.
pub(crate) fn doubling(levels: usize) -> Vec<u8> {
    (0..levels).fold(b"\0asm\x0d\0\x01\0".to_vec(), |inner, _| {
        let twice = [leb(2), b"\0\0\0".repeat(2)].concat();
        [
            b"\0asm\x0d\0\x01\0",
            &section(4, &inner)[..],
            &section(5, &twice),
        ]
        .concat()
    })
}

/// One function of so many loops that share a thousand variables: little to read, and a register
/// allocator's worst day.
pub(crate) fn entangled(loops: usize) -> Vec<u8> {
    let mut code = vec![1];
    code.extend(leb(1000));
    code.push(0x7f);
    for turn in 0..loops {
        let variable = |factor: usize| leb(turn * factor % 1000);
        let (a, b, c) = (variable(7), variable(613), variable(389));
        for part in [
            &[3, 0x40, 0x20][..],
            &a,
            &[0x20],
            &b,
            &[0x6a, 0x21],
            &c,
            &[0x20],
            &c,
            &[0x0d, 0, 0x0b],
        ] {
            code.extend(part);
        }
    }
    code.push(0x0b);
    around(&module(1, &code))
}

/// A component of one type: of an instance with one type in it, and so on, so many levels deep.
pub(crate) fn nested_types(levels: usize) -> Vec<u8> {
    let inner = [0x42, 1, 1].repeat(levels - 1);
    let types = [&[1], &inner[..], &[0x42, 0]].concat();
    [b"\0asm\x0d\0\x01\0", &section(7, &types)[..]].concat()
}

/// A module with a section in which the tools of WIT keep its world.
pub(crate) fn with_world(module: &[u8], world: &[u8]) -> Vec<u8> {
    let name = "component-type:world";
    let custom = [&leb(name.len())[..], name.as_bytes(), world].concat();
    [module, &section(0, &custom)].concat()
}
