//! The three dialects against one another: the same requests, the same replies, the same state.

use arbitrary::{Result, Unstructured};
use arbtest::arbtest;
use rdmsetup::backend::{Backend, Client, Trace, TraceStyle, User};
use rdmsetup::dm::{
    Command, CommandKind, DeviceId, DeviceNumber, Errno, Fault, Flags, Line, Reply, Request, Sectors, Table,
    Text,
};
use rdmsetup::mapper::{MAJOR, Mapper, Progress, StateDir};
use rdmsetup::wire::{Call, Dialect};
use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

const DIALECTS: [Dialect; 3] = [Dialect::Linux, Dialect::Netbsd, Dialect::Proposed];

/// What came of a request: the reply, a wait, or an error as Linux has it.
type Came = std::result::Result<Option<Reply>, Errno>;

/// Sends a request to a mapper in a dialect, the way any client would.
fn ask(mapper: &mut Mapper, dialect: Dialect, request: &Request) -> std::result::Result<Came, Fault> {
    let kind = request.command.kind();
    let mut buffer = dialect.send(request, 1 << 16)?;
    Ok(match mapper.ioctl(dialect.number(kind), &mut buffer) {
        Ok(Progress::Done) => {
            assert_eq!(dialect.wants_more(&buffer), None);
            if dialect != Dialect::Linux {
                assert_eq!(buffer.last(), Some(&0), "the closing NUL counts");
            }
            Ok(Some(dialect.reply(kind, &buffer).unwrap()))
        }
        Ok(Progress::Waiting(..)) => Ok(None),
        Err(errno) => {
            let fault = mapper.take_fault().expect("a reason");
            assert_eq!(dialect.errno_to_wire(kind, fault.errno), errno, "{request:?}");
            Err(fault.errno)
        }
    })
}

const NAMES: &[&str] = &["a", "b", "<c> & \"d\"", "\u{fc}\u{20ac}", "", "x/y"];

fn any_device(u: &mut Unstructured<'_>) -> Result<DeviceId> {
    let mut device = DeviceId::default();
    if u.ratio(5, 6)? {
        device.name = (*u.choose(NAMES)?).into();
    }
    if u.ratio(1, 6)? {
        device.uuid = (*u.choose(&["u", "v"])?).into();
    }
    if u.ratio(1, 6)? {
        device.dev = Some(DeviceNumber::new(*u.choose(&[MAJOR, 7, 253])?, u.int_in_range(0..=300)?));
    }
    Ok(device)
}

fn any_command(u: &mut Unstructured<'_>) -> Result<Command> {
    Ok(match u.int_in_range(0..=19)? {
        0..=3 => Command::DevCreate,
        4..=6 => {
            let mut start = 0;
            let mut lines = Vec::new();
            for _ in 0..u.int_in_range(0..=3)? {
                let length = *u.choose(&[8, 16, u64::MAX])?;
                let (target, params) =
                    *u.choose(&[("zero", ""), ("error", ""), ("linear", "a 0"), ("nonesuch", "x")])?;
                lines.push(Line {
                    start: Sectors(start),
                    length: Sectors(length),
                    target: target.into(),
                    params: params.into(),
                });
                start = start.wrapping_add(length);
            }
            Command::TableLoad(Table { lines })
        }
        7..=9 => Command::DevSuspend,
        10 => Command::DevRemove,
        11 => Command::DevRename((*u.choose(NAMES)?).into()),
        12 => Command::TableClear,
        13 => Command::TableStatus,
        14 => Command::TableDeps,
        15 => Command::ListDevices,
        16 => Command::DevStatus,
        17 => Command::TargetMsg {
            sector: Sectors(u.arbitrary()?),
            message: (*u.choose(&["", "hi", "@x"])?).into(),
        },
        18 => Command::DevSetGeometry((*u.choose(&["1 1 1 0", "x"])?).into()),
        _ => {
            let kinds = [Command::Version, Command::ListVersions, Command::DevWait, Command::RemoveAll];
            u.choose(&kinds)?.clone()
        }
    })
}

fn any_request(u: &mut Unstructured<'_>) -> Result<Request> {
    let request = Request::new(any_device(u)?, any_command(u)?);
    let flags = [
        Flags::SUSPEND,
        Flags::READONLY,
        Flags::UUID,
        Flags::DEFERRED_REMOVE,
        Flags::QUERY_INACTIVE_TABLE,
        Flags::STATUS_TABLE,
        Flags::EXISTS,
        Flags(1 << 28),
    ];
    let flags = flags
        .into_iter()
        .try_fold(Flags::NONE, |all, flag| Ok::<_, arbitrary::Error>(all.set(flag, u.ratio(1, 5)?)))?;
    let mut request = request.with_flags(flags);
    // Now and then a version that is refused; what tests shares its number with an event that has come and one that has not.
    if u.ratio(1, 30)? {
        request.version.minor = 99;
    }
    request.event_nr = u.int_in_range(0..=3)?;
    Ok(request)
}

#[test]
fn any_requests_come_to_the_same_in_every_dialect() {
    let (mut same, mut done) = (0, 0);
    arbtest(|u| {
        let mut mappers = [Mapper::new(), Mapper::new(), Mapper::new()];
        for _ in 0..u.int_in_range(1..=40)? {
            let request = any_request(u)?;
            let mut came: Vec<(Dialect, Came)> = Vec::new();
            for (mapper, dialect) in mappers.iter_mut().zip(DIALECTS) {
                came.push((dialect, ask(mapper, dialect, &request).unwrap()));
            }
            let (_, linux) = came[0].clone();
            done += usize::from(linux.is_ok());
            for (dialect, other) in came {
                let refused_version = request.version.minor == 99 && dialect == Dialect::Netbsd;
                if refused_version && other == Err(Errno::EIO) {
                    assert_eq!(linux, Err(Errno::EINVAL), "its driver has another number for a version");
                    continue;
                }
                assert_eq!(other, linux, "{dialect}: {request:?}");
                same += 1;
            }
            let states: Vec<Vec<u8>> = mappers.iter().map(|mapper| mapper.state().to_bytes()).collect();
            assert!(states[0] == states[1] && states[0] == states[2], "{request:?}");
        }
        Ok(())
    })
    .size_max(8192)
    .budget_ms(5000);
    assert!(same > 3000 && done > 500, "{same} replies, {done} of them good");
}

#[test]
fn any_request_arrives_in_every_dialect_as_it_was_sent() {
    arbtest(|u| {
        let request = any_request(u)?;
        for dialect in DIALECTS {
            let buffer = dialect.send(&request, 0).unwrap();
            let call = Call::read(dialect.number(request.command.kind()), &buffer).unwrap();
            assert_eq!(call.dialect, dialect);
            let mut arrived = call.request;
            if dialect == Dialect::Netbsd && matches!(request.command, Command::DevSuspend) {
                arrived.flags = arrived.flags.set(Flags::SUSPEND, request.flags.contains(Flags::SUSPEND));
            }
            assert_eq!(arrived, request, "{dialect}");
        }
        Ok(())
    })
    .budget_ms(2000);
}

#[test]
fn numbers_belong_to_their_dialects() {
    let mut mapper = Mapper::new();
    for number in [0xc010_fd13, 0xc010_fe00, 0x1234] {
        assert_eq!(mapper.ioctl(number, &mut b"<plist><dict/></plist>\0".to_vec()), Err(Errno::ENOTTY));
    }
    for text in ["", "garbage", "<plist><dict/></plist>", "<plist><array/></plist>"] {
        assert_eq!(mapper.ioctl(0xc010_fd00, &mut text.as_bytes().to_vec()), Err(Errno::EIO), "{text}");
    }
    // 32-bit programs have a number of their own.
    let mut buffer = Dialect::Netbsd.send(&Request::global(Command::ListVersions), 0).unwrap();
    assert_eq!(mapper.ioctl(0xc008_fd00, &mut buffer), Ok(Progress::Done));
    // 0 is the number of every command there, and of one here; the dictionary tells.
    for dialect in [Dialect::Netbsd, Dialect::Proposed] {
        let request = Request::global(Command::Version);
        let buffer = dialect.send(&request, 0).unwrap();
        let call = Call::read(dialect.number(CommandKind::Version), &buffer).unwrap();
        assert_eq!((call.dialect, call.request), (dialect, request));
    }
}

#[test]
fn the_dialect_that_shipped_has_no_word_for_what_came_later() {
    for command in [Command::DevArmPoll, Command::GetTargetVersion("zero".into()), Command::MpathProbePaths] {
        let request = Request::global(command);
        assert_eq!(Dialect::Netbsd.send(&request, 0).unwrap_err().errno, Errno::EOPNOTSUPP);
        let buffer = Dialect::Proposed.send(&request, 0).unwrap();
        let number = Dialect::Proposed.number(request.command.kind());
        assert_eq!(Call::read(number, &buffer).unwrap().request, request);
    }
    let mut mapper = Mapper::new();
    let request = Request::global(Command::GetTargetVersion("zero".into()));
    let one = ask(&mut mapper, Dialect::Proposed, &request).unwrap().unwrap().unwrap();
    let other = ask(&mut mapper, Dialect::Linux, &request).unwrap().unwrap().unwrap();
    assert_eq!((one.versions(), one.version), (other.versions(), other.version));
}

#[derive(Clone, Default)]
struct Paper(Rc<RefCell<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a trace shows of some requests, each sent in that dialect to a mapper of its own.
fn traced(dialect: Dialect, style: TraceStyle, requests: &[Request]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let paper = Paper::default();
    let user: Box<dyn Backend> = Box::new(User::new(StateDir::new(Some(directory.path())).unwrap()));
    let mut client = Client::speaking(Box::new(Trace::new(user, style, Box::new(paper.clone()))), dialect);
    for request in requests {
        let _ = client.perform(request);
    }
    let written = paper.0.borrow().clone();
    String::from_utf8(written).unwrap()
}

fn vol0(command: Command) -> Request {
    Request::new(DeviceId::by_name("vol0"), command).with_flags(Flags::EXISTS)
}

fn table(target: &str, params: &str) -> Command {
    let (start, length) = (Sectors(0), Sectors(8));
    Command::TableLoad(Table {
        lines: vec![Line { start, length, target: target.into(), params: Text::from(params) }],
    })
}

#[test]
fn a_trace_in_property_lists_is_the_same_in_every_dialect() {
    let requests = [
        vol0(Command::DevCreate),
        vol0(table("zero", "")),
        Request::resume(DeviceId::by_name("vol0")),
        vol0(Command::TableStatus).with_flags(Flags::STATUS_TABLE),
        vol0(Command::DevRemove),
        vol0(Command::DevStatus),
    ];
    let texts = DIALECTS.map(|dialect| traced(dialect, TraceStyle::Plist, &requests));
    let without_error =
        |text: &str| text.replace("ENOENT (No such file or directory)", "ENXIO (No such device or address)");
    assert_eq!(texts[0], without_error(&texts[1]));
    assert_eq!(texts[0], texts[2]);
    for part in [
        "ioctl(DM_TABLE_LOAD,\n<dict>\n\t<key>cmd_data</key>\n\t<dict>\n\t\t<key>0</key>\n\t\t<dict>\n\t\t\t<key>additional info</key>\n\
         \t\t\t<string/>\n\t\t\t<key>length</key>\n\t\t\t<integer>0x8</integer>\n\t\t\t<key>sector_start</key>\n",
        "<key>version</key>\n\t<string>4.0.0</string>",
        " = 0\n<dict>",
        "\t<key>target_count</key>\n\t<integer>0x1</integer>",
        " = -1 ENXIO (No such device or address)\n",
    ] {
        assert!(texts[0].contains(part), "{part}\nin\n{}", texts[0]);
    }
}

#[test]
fn a_trace_in_fields_or_bytes_shows_a_property_list_as_it_is() {
    let requests = [vol0(Command::DevCreate), vol0(Command::DevStatus)];
    let fields = traced(Dialect::Netbsd, TraceStyle::Fields, &requests);
    let first = "ioctl(NETBSD_DM_IOCTL, {cmd_data=[], command=\"create\", event_nr=0x0, flags=EXISTS, name=\"vol0\", \
                 version=[0x4, 0x0, 0x0]})\n = 0 {cmd_data=[], command=\"create\", event_nr=0x0, flags=EXISTS, major=0xf0, \
                 minor=0x0, name=\"vol0\", version=[0x4, 0x32, 0x0]}\n";
    assert!(fields.starts_with(first), "{fields}");
    let proposed = traced(Dialect::Proposed, TraceStyle::Hex, &requests);
    assert!(proposed.starts_with("ioctl(DM_DEV_CREATE, {event_nr=0x0,"), "{proposed}");
    assert!(proposed.contains(" | 00000  3c 3f 78 6d 6c"), "{proposed}");
}

#[test]
fn a_secret_is_shown_in_no_dialect_and_no_style() {
    let requests = [
        vol0(Command::DevCreate),
        vol0(table("crypt", "aes 00112233 0 /dev/zero 0")).with_flags(Flags::SECURE_DATA),
        vol0(Command::TargetMsg { sector: Sectors(0), message: "key set 00112233".into() })
            .with_flags(Flags::SECURE_DATA),
    ];
    for dialect in DIALECTS {
        for style in [TraceStyle::Fields, TraceStyle::Hex, TraceStyle::Plist] {
            let text = traced(dialect, style, &requests);
            assert!(!text.contains("00112233") && text.contains("hidden"), "{dialect} {style:?}: {text}");
        }
    }
}
