//! What a real kernel did with real requests, byte for byte; `tests/wire/README.md` says where the bytes are from.

use rdmsetup::dm::{CommandKind, Flags, Reply, ReplyBody, Version};
use rdmsetup::wire::linux::{self, strace};

const DMSETUP: &str = include_str!("dmsetup.calls");
const EDGES: &str = include_str!("edges.calls");
const KERNEL: Version = Version::new(4, 47, 0);

/// An ioctl as it was made and answered.
struct Call {
    number: u32,
    errno: i32,
    sent: Vec<u8>,
    got: Vec<u8>,
}

/// The calls of a file: `call NUMBER SIZE ERRNO`, `sent HEX`, `got HEX`; zeros at the end are left out.
fn calls(text: &str) -> Vec<Call> {
    let lines: Vec<&str> = text.lines().collect();
    let hex = |line: &str, word: &str, size: usize| {
        let digits = line.strip_prefix(word).unwrap().trim();
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        let mut bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
        bytes.resize(size, 0);
        bytes
    };
    let call = |lines: &[&str]| {
        let words: Vec<&str> = lines[0].split(' ').collect();
        let number = u32::from_str_radix(words[1].strip_prefix("0x").unwrap(), 16).unwrap();
        let (size, errno) = (words[2].parse().unwrap(), words[3].parse().unwrap());
        Call { number, errno, sent: hex(lines[1], "sent", size), got: hex(lines[2], "got", size) }
    };
    lines.chunks(3).map(call).collect()
}

#[test]
fn our_requests_are_libdms_to_the_byte() {
    for Call { number, sent, .. } in calls(DMSETUP) {
        let kind = linux::command_of(number).unwrap();
        assert_eq!(linux::ioctl_number(kind), number);
        let request = linux::decode_request(kind, &sent).unwrap();
        assert_eq!(linux::encode_request(&request, sent.len()).unwrap(), sent, "{request:?}");
    }
}

#[test]
fn our_replies_are_the_kernels_to_the_byte() {
    let mut compared = 0;
    for Call { number, errno, sent, got } in calls(DMSETUP).into_iter().chain(calls(EDGES)) {
        if errno != 0
            || linux::buffer_is_full(&got) && linux::has_reply_data(linux::command_of(number).unwrap())
        {
            continue;
        }
        let kind = linux::command_of(number).unwrap();
        let reply = linux::decode_reply(kind, &got).unwrap();
        assert_eq!(reply.version, if kind == CommandKind::RemoveAll { reply.version } else { KERNEL });
        let mut ours = sent;
        linux::encode_reply(kind, &reply, &mut ours);
        assert_eq!(strace::hex_dump(&ours, false), strace::hex_dump(&got, false), "{reply:?}");
        assert_eq!(ours, got, "{reply:?}");
        compared += 1;
    }
    assert!(compared > 80, "{compared} replies compared");
}

#[test]
fn a_reply_fits_where_the_kernels_fits() {
    let mut whole: Option<(CommandKind, Reply)> = None;
    let mut full = 0;
    for Call { number, errno, sent, got } in calls(EDGES) {
        let kind = linux::command_of(number).unwrap();
        if errno != 0 || !linux::has_reply_data(kind) {
            continue;
        }
        if !linux::buffer_is_full(&got) {
            whole = Some((kind, linux::decode_reply(kind, &got).unwrap()));
            continue;
        }
        let (of, reply) = whole.as_ref().unwrap();
        assert_eq!(*of, kind);
        let mut ours = sent;
        linux::encode_reply(kind, reply, &mut ours);
        assert!(linux::buffer_is_full(&ours), "{kind:?}, a buffer of {} bytes", ours.len());
        // How far the kernel got before it gave up is of no use to anyone: not compared.
        assert_eq!((&ours[..12], &ours[16..305]), (&got[..12], &got[16..305]), "{kind:?}");
        full += 1;
    }
    assert!(full >= 14, "{full} replies that did not fit");
}

#[test]
fn what_the_kernel_refuses_unseen_is_refused() {
    let refused: Vec<Call> = calls(EDGES).into_iter().filter(|call| call.errno != 0).collect();
    for Call { number, errno, sent, got } in &refused {
        let Some(kind) = linux::command_of(*number).filter(|&kind| kind != CommandKind::MpathProbePaths)
        else {
            assert_eq!(*errno, 25);
            continue;
        };
        let ours =
            linux::check_version(sent, KERNEL).and_then(|()| linux::decode_request(kind, sent).map(drop));
        assert_eq!(ours.map_err(|error| error.errno().0), Err(*errno), "{kind:?}");
        let mut ours = sent.clone();
        linux::write_version(&mut ours, KERNEL);
        assert_eq!(ours, *got, "all that a failed call leaves is the version");
    }
    assert!(refused.len() >= 7);
}

#[test]
fn a_real_table_reads_as_it_was_loaded() {
    let reply = |text: &str, kind, flags| {
        let found = calls(text).into_iter().filter(|call| linux::command_of(call.number) == Some(kind));
        let mut replies =
            found.filter(|call| call.errno == 0).map(|call| linux::decode_reply(kind, &call.got).unwrap());
        replies.find(|reply| reply.flags.contains(flags) && reply.body != ReplyBody::Lines(vec![])).unwrap()
    };
    let table = reply(DMSETUP, CommandKind::TableStatus, Flags::STATUS_TABLE);
    let lines: Vec<String> = table
        .lines()
        .iter()
        .map(|line| format!("{} {} {} {}", line.start, line.length, line.target, line.params))
        .collect();
    assert_eq!(lines, ["0 8 linear 98:0 16", "8 8 zero ", "16 16 striped 2 8 98:0 32 98:0 64"]);
    assert_eq!(table.device.uuid, "RDMSETUP-vol0");

    let list = calls(DMSETUP)
        .into_iter()
        .filter(|call| call.number == linux::ioctl_number(CommandKind::ListDevices));
    let lists = list.map(|call| linux::decode_reply(CommandKind::ListDevices, &call.got).unwrap());
    let longest = lists.max_by_key(|list| list.devices().len()).unwrap();
    let names: Vec<&[u8]> = longest.devices().iter().map(|device| device.name.as_bytes()).collect();
    assert_eq!(names, [b"caf\xe9".as_slice(), b"far", b"other", b"vol0"]);
    assert_eq!(longest.devices()[1].dev.minor, 300);
    assert_eq!(longest.devices()[0].event_nr, Some(0));
    assert_eq!(longest.devices()[3].uuid, None, "not told when not asked for");
}
