//! The Linux dialect from both ends: what one side writes the other reads, whatever the bytes nothing panics, and a
//! real kernel's bytes (`tests/wire/README.md`) mean what it meant.

#[cfg(test)]
#[path = "wire/arbitrary.rs"]
mod arbitrary_values;
#[cfg(test)]
#[path = "wire/kernel.rs"]
mod kernel;

use arbitrary::Unstructured;
use arbitrary_values::{any_buffer, any_kind, any_reply, any_request};
use arbtest::arbtest;
use rdmsetup::dm::{Command, CommandKind, DeviceId, Errno, Flags, Request, Version};
use rdmsetup::wire::linux::{self, strace};

/// How long each property is tried, in milliseconds.
const BUDGET: u64 = 1000;
/// Bytes of chance that one try may use up.
const SIZE: u32 = 4096;

#[test]
fn a_request_arrives_as_it_was_sent() {
    arbtest(|u| {
        let kind = any_kind(u)?;
        let request = any_request(u, kind)?;
        let size = u.int_in_range(0..=2048)?;
        let buffer = linux::encode_request(&request, size).unwrap();
        assert!(buffer.len() >= size.max(linux::HEADER_LEN));
        assert_eq!(request.command.kind(), kind);
        assert_eq!(linux::command_of(linux::ioctl_number(kind)), Some(kind));
        assert_eq!(linux::decode_request(kind, &buffer), Ok(request));
        Ok(())
    })
    .size_max(SIZE)
    .budget_ms(BUDGET);
}

#[test]
fn a_reply_arrives_as_it_was_sent_or_says_that_it_did_not_fit() {
    arbtest(|u| {
        let (kind, request) = any_kind_and_request(u)?;
        let reply = any_reply(u, kind)?;
        let mut size = u.int_in_range(0..=512)?;
        loop {
            let mut buffer = linux::encode_request(&request, size).unwrap();
            let length = buffer.len();
            linux::encode_reply(kind, &reply, &mut buffer);
            assert_eq!(buffer.len(), length);
            if !linux::buffer_is_full(&buffer) {
                assert_eq!(linux::decode_reply(kind, &buffer), Ok(reply));
                return Ok(());
            }
            assert!(linux::has_reply_data(kind));
            size = 2 * length;
            assert!(size < 1 << 20, "the reply never fits");
        }
    })
    .size_max(SIZE)
    .budget_ms(BUDGET);
}

/// A command whose reply says more than the driver's version, and a request that lets it.
fn any_kind_and_request(u: &mut Unstructured<'_>) -> arbitrary::Result<(CommandKind, Request)> {
    let kind = any_kind(u)?;
    if answered_by_version(kind) {
        return Err(arbitrary::Error::IncorrectFormat);
    }
    let mut request = any_request(u, kind)?;
    request.flags = request.flags.without(Flags::SECURE_DATA);
    Ok((kind, request))
}

fn answered_by_version(kind: CommandKind) -> bool {
    matches!(kind, CommandKind::Version | CommandKind::RemoveAll | CommandKind::DevSetGeometry)
}

#[test]
fn any_bytes_decode_or_are_refused_and_what_decodes_means_the_same_again() {
    arbtest(|u| {
        let kind = any_kind(u)?;
        let buffer = any_buffer(u, kind)?;
        if let Ok(request) = linux::decode_request(kind, &buffer) {
            let again = linux::encode_request(&request, 0).unwrap();
            assert_eq!(linux::decode_request(kind, &again), Ok(request));
        }
        if let Ok(reply) = linux::decode_reply(kind, &buffer) {
            if answered_by_version(kind) {
                return Ok(());
            }
            let mut again = linux::encode_request(&Request::global(Command::ListDevices), 1 << 16).unwrap();
            linux::encode_reply(kind, &reply, &mut again);
            let mut reply = reply;
            // A driver sends neither: the one tells of its own buffer, the other is the client's to say.
            reply.flags = reply.flags.without(Flags::SECURE_DATA | Flags::BUFFER_FULL);
            assert_eq!(linux::decode_reply(kind, &again), Ok(reply));
        }
        Ok(())
    })
    .size_max(SIZE)
    .budget_ms(2 * BUDGET);
}

#[test]
fn no_bytes_make_a_driver_or_a_trace_panic() {
    arbtest(|u| {
        let kind = any_kind(u)?;
        let reply = any_reply(u, kind)?;
        let mut buffer = any_buffer(u, kind)?;
        let number = if u.ratio(1, 20)? { u.arbitrary()? } else { linux::ioctl_number(kind) };
        let length = buffer.len();
        let _ = linux::check_version(&buffer, Version::new(4, 48, 0));
        assert!(strace::request_line(number, &buffer).starts_with("ioctl("));
        let _ = strace::hex_dump(&buffer, u.arbitrary()?);
        linux::encode_reply(kind, &reply, &mut buffer);
        let _ = strace::reply_line(number, Ok(()), &buffer, u.arbitrary()?);
        let _ = strace::hex_dump(&buffer, u.arbitrary()?);
        linux::wipe_secret(&mut buffer);
        linux::write_version(&mut buffer, Version::new(4, 48, 0));
        assert_eq!(buffer.len(), length);
        Ok(())
    })
    .size_max(SIZE)
    .budget_ms(BUDGET);
}

#[test]
fn a_line_of_a_trace_is_one_line_of_ascii() {
    arbtest(|u| {
        let (kind, request) = any_kind_and_request(u)?;
        let reply = any_reply(u, kind)?;
        let number = linux::ioctl_number(kind);
        let mut buffer = linux::encode_request(&request, 4096).unwrap();
        let sent = strace::request_line(number, &buffer);
        linux::encode_reply(kind, &reply, &mut buffer);
        let got = strace::reply_line(number, Ok(()), &buffer, false);
        for line in [sent, got] {
            assert!(line.is_ascii() && !line.contains(char::is_control), "{line}");
            // The mark of what cannot be decoded. Question marks alone may be of a random name.
            assert!(!line.contains("??? /* "), "{line}");
        }
        Ok(())
    })
    .size_max(SIZE)
    .budget_ms(BUDGET);
}

#[test]
fn a_buffer_that_lies_is_refused_with_the_kernels_number() {
    let load = Request::new(DeviceId::by_name("vol0"), Command::TableStatus);
    let whole = linux::encode_request(&load, 512).unwrap();
    let errno = |buffer: &[u8]| {
        linux::decode_request(CommandKind::TableStatus, buffer).map_err(|error| error.errno())
    };
    assert_eq!(errno(&whole[..304]), Err(Errno::EFAULT));
    assert_eq!(errno(&whole[..511]), Err(Errno::EFAULT));
    let mut small = whole.clone();
    small[12..16].copy_from_slice(&304_u32.to_ne_bytes());
    assert_eq!(errno(&small), Err(Errno::EINVAL));
    // What takes no data may say what it likes of it, as long as the header is there.
    assert!(linux::decode_request(CommandKind::DevStatus, &whole[..305]).is_ok());

    let own = Version::new(4, 48, 0);
    for (asked, refused) in
        [((4, 48), false), ((4, 0), false), ((4, 49), true), ((3, 0), true), ((5, 0), true)]
    {
        let mut buffer = whole.clone();
        linux::write_version(&mut buffer, Version::new(asked.0, asked.1, 99));
        assert_eq!(linux::check_version(&buffer, own).is_err(), refused);
    }
    assert_eq!(linux::check_version(&whole[..11], own).unwrap_err().errno(), Errno::EFAULT);
}

#[test]
fn a_table_of_more_lines_than_bytes_costs_nothing() {
    let mut buffer = linux::encode_request(&Request::global(Command::TableStatus), 1024).unwrap();
    buffer[20..24].copy_from_slice(&u32::MAX.to_ne_bytes());
    let error = linux::decode_request(CommandKind::TableLoad, &buffer).unwrap_err();
    assert_eq!(error.to_string(), "table line: record at byte 312 says next at +0, inside itself");
    let error = linux::decode_reply(CommandKind::TableStatus, &buffer).unwrap_err();
    assert_eq!(error.to_string(), "table line: record at byte 312 says next at +0, inside itself");
}

#[test]
fn what_does_not_fit_its_field_is_not_sent() {
    let refused = |request: Request| linux::encode_request(&request, 0).unwrap_err().to_string();
    let named = |name: &str| Request::new(DeviceId::by_name(name), Command::DevStatus);
    assert_eq!(refused(named(&"n".repeat(128))), "device name: 128 bytes, 127 are the most");
    assert!(linux::encode_request(&named(&"n".repeat(127)), 0).is_ok());
    assert_eq!(refused(named("a\0b")), "device name: holds a NUL byte");
    let uuid = DeviceId::by_uuid("u".repeat(129));
    assert_eq!(refused(Request::new(uuid, Command::DevStatus)), "device uuid: 129 bytes, 128 are the most");
    let dev = DeviceId::by_number(rdmsetup::dm::DeviceNumber::new(4096, 1));
    let words = "device number: 4096:1 has more than 12 bits of major or 20 of minor";
    assert_eq!(refused(Request::new(dev, Command::DevStatus)), words);
}
