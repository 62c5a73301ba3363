//! The script: requests that go through every command and every refusal that both drivers have.

use crate::guest::{DISK_A, DISK_SIZE};
use rdmsetup::dm::{
    Command, DeviceId, DeviceNumber, Flags, Line, Request, SECTOR_SIZE, Sectors, Table, Text,
};

/// A request with the words that say what it is for.
pub(crate) struct Step {
    pub(crate) what: &'static str,
    pub(crate) request: Request,
}

/// The steps, for a driver whose devices have that major number. Minors are the same for both: the lowest free one.
pub(crate) fn script(major: u32) -> Vec<Step> {
    let mut script = Script { major, steps: Vec::new() };
    script.creation();
    script.tables_refused();
    script.slots();
    script.limits();
    script.stacking();
    script.names();
    script.messages();
    script.targets();
    script.modes();
    script.removal();
    script.steps
}

/// Tables over `/dev/loop0`, a disk with blocks of 8 sectors, that cut them and that do not. A device of its own for
/// each, since only a device's first table is judged when it is loaded.
pub(crate) fn large_blocks(major: u32) -> Vec<Step> {
    let tables: &[&[Row<'_>]] = &[
        &[(0, 64, "linear", "/dev/loop0 0")],
        &[(0, 64, "linear", "/dev/loop0 8")],
        &[(0, 64, "linear", "/dev/loop0 1")],
        &[(0, 60, "linear", "/dev/loop0 0")],
        &[(0, 4, "zero", ""), (4, 8, "linear", "/dev/loop0 0")],
        &[(0, 4, "zero", ""), (4, 4, "zero", ""), (8, 8, "linear", "/dev/loop0 0")],
        &[(0, 4, "zero", ""), (4, 3, "zero", ""), (7, 8, "linear", "/dev/loop0 0")],
        &[(0, 8, "linear", "/dev/loop0 0"), (8, 3, "zero", "")],
        &[
            (0, 8, "linear", "/dev/loop0 0"),
            (8, 4, "linear", "/dev/ubdb 0"),
            (12, 4, "linear", "/dev/ubdb 1"),
        ],
        &[(0, 32, "striped", "2 8 /dev/loop0 8 /dev/loop0 64")],
        &[(0, 32, "striped", "2 8 /dev/loop0 8 /dev/loop0 66")],
        &[(0, 32, "striped", "2 4 /dev/loop0 8 /dev/ubdb 1")],
    ];
    let mut script = Script { major, steps: Vec::new() };
    for (number, lines) in tables.iter().enumerate() {
        let device = format!("d{number}");
        script.ask("create", &device, Command::DevCreate);
        script.load("load", &device, lines);
        script.push("resume", Request::resume(name(&device)));
        script.look(&device);
    }
    script.steps
}

struct Script {
    major: u32,
    steps: Vec<Step>,
}

fn name(name: &str) -> DeviceId {
    DeviceId::by_name(name)
}

fn table(lines: &[Row<'_>]) -> Command {
    let line = |&(start, length, target, params): &Row<'_>| Line {
        start: Sectors(start),
        length: Sectors(length),
        target: target.into(),
        params: params.into(),
    };
    Command::TableLoad(Table { lines: lines.iter().map(line).collect() })
}

/// A line of a table: start, length, target, parameters.
type Row<'a> = (u64, u64, &'a str, &'a str);

const DISK_SECTORS: u64 = DISK_SIZE / SECTOR_SIZE;

impl Script {
    fn push(&mut self, what: &'static str, request: Request) {
        self.steps.push(Step { what, request });
    }

    fn ask(&mut self, what: &'static str, device: &str, command: Command) {
        self.push(what, Request::new(name(device), command));
    }

    fn ask_with(&mut self, what: &'static str, device: &str, flags: Flags, command: Command) {
        self.push(what, Request::new(name(device), command).with_flags(flags));
    }

    fn load(&mut self, what: &'static str, device: &str, lines: &[Row<'_>]) {
        self.ask(what, device, table(lines));
    }

    /// Everything that can be asked about a device.
    fn look(&mut self, device: &str) {
        self.ask("state", device, Command::DevStatus);
        self.ask("status", device, Command::TableStatus);
        self.ask_with("table", device, Flags::STATUS_TABLE, Command::TableStatus);
        self.ask("dependencies", device, Command::TableDeps);
        let inactive = Flags::QUERY_INACTIVE_TABLE;
        self.ask_with("inactive state", device, inactive, Command::DevStatus);
        self.ask_with("inactive table", device, inactive | Flags::STATUS_TABLE, Command::TableStatus);
        self.ask_with("inactive dependencies", device, inactive, Command::TableDeps);
    }

    fn creation(&mut self) {
        self.push("version", Request::global(Command::Version));
        self.push("no devices", Request::global(Command::ListDevices));
        self.ask("state of a missing device", "a", Command::DevStatus);
        self.ask("remove a missing device", "a", Command::DevRemove);
        self.ask("create", "a", Command::DevCreate);
        self.ask("create again", "a", Command::DevCreate);
        let with_uuid = |device: &str, uuid: &str| DeviceId { uuid: uuid.into(), ..name(device) };
        self.push("create with a uuid", Request::new(with_uuid("b", "U-b"), Command::DevCreate));
        self.push("create with a taken uuid", Request::new(with_uuid("c", "U-b"), Command::DevCreate));
        self.ask("create with a slash", "x/y", Command::DevCreate);
        self.ask("create without a name", "", Command::DevCreate);
        let numbered =
            |device: &str, minor| DeviceId { dev: Some(DeviceNumber::new(0, minor)), ..name(device) };
        let create_at = |device, minor| {
            Request::new(numbered(device, minor), Command::DevCreate).with_flags(Flags::PERSISTENT_DEV)
        };
        self.push("create with a minor", create_at("d", 7));
        self.push("create with a taken minor", create_at("e", 7));
        self.push("by uuid", Request::new(DeviceId::by_uuid("U-b"), Command::DevStatus));
        self.push("by a missing uuid", Request::new(DeviceId::by_uuid("U-x"), Command::DevStatus));
        let number = DeviceNumber::new(self.major, 7);
        self.push("by number", Request::new(number.into(), Command::DevStatus));
        self.push(
            "by a missing number",
            Request::new(DeviceNumber::new(self.major, 99).into(), Command::DevStatus),
        );
        let both = DeviceId { dev: Some(number), ..name("d") };
        self.push("by name and number", Request::new(both, Command::DevStatus));
        self.push("by name and uuid", Request::new(with_uuid("b", "U-b"), Command::DevStatus));
        self.push("by nothing", Request::global(Command::DevStatus));
        self.look("a");
        self.push("suspend without a table", Request::suspend(name("d")));
        self.ask("state", "d", Command::DevStatus);
        self.push("resume without a table", Request::resume(name("d")));
        self.ask("state", "d", Command::DevStatus);
        self.push("resume, never suspended", Request::resume(name("a")));
        self.ask("clear nothing", "a", Command::TableClear);
        self.push("three devices", Request::global(Command::ListDevices));
        self.push("with uuids", Request::global(Command::ListDevices).with_flags(Flags::UUID));
        let prefixed = |name: &str, uuid: &str| DeviceId { uuid: uuid.into(), ..DeviceId::by_name(name) };
        for (what, filter) in [
            ("those whose names begin so", prefixed("a", "")),
            ("none does", prefixed("x", "")),
            ("those whose uuids begin so", prefixed("", "U")),
            ("both", prefixed("b", "U-")),
        ] {
            self.push(what, Request::new(filter, Command::ListDevices));
        }
        self.ask(
            "a message without a table",
            "a",
            Command::TargetMsg { sector: Sectors(0), message: "x".into() },
        );
    }

    fn tables_refused(&mut self) {
        let refused: &[(&str, &[Row<'_>])] = &[
            ("no lines", &[]),
            ("a first line that does not start at 0", &[(8, 8, "error", "")]),
            ("a gap", &[(0, 8, "error", ""), (16, 8, "error", "")]),
            ("an overlap", &[(0, 8, "error", ""), (4, 8, "error", "")]),
            ("no length", &[(0, 0, "error", "")]),
            ("an unknown target", &[(0, 8, "nonesuch", "")]),
            ("linear without arguments", &[(0, 8, "linear", "")]),
            ("linear with one", &[(0, 8, "linear", DISK_A)]),
            ("linear with three", &[(0, 8, "linear", "/dev/ubda 0 0")]),
            ("trailing junk", &[(0, 8, "linear", "/dev/ubda 38x")]),
            ("a negative offset", &[(0, 8, "linear", "/dev/ubda -1")]),
            ("a missing disk", &[(0, 8, "linear", "/dev/nonesuch 0")]),
            ("a missing number", &[(0, 8, "linear", "98:4000 0")]),
            ("a number out of range", &[(0, 8, "linear", "5000:0 0")]),
            ("a disk too small", &[(0, DISK_SECTORS + 1, "linear", "/dev/ubda 0")]),
            ("an offset behind the disk", &[(0, 8, "linear", "/dev/ubda 8192")]),
            ("an offset near 2^64", &[(0, 8, "linear", "/dev/ubda 18446744073709551615")]),
            ("striped without arguments", &[(0, 8, "striped", "")]),
            ("striped over none", &[(0, 8, "striped", "0 8")]),
            ("striped with chunks of none", &[(0, 8, "striped", "1 0 /dev/ubda 0")]),
            ("striped, not divisible by stripes", &[(0, 9, "striped", "2 8 /dev/ubda 0 /dev/ubdb 0")]),
            ("striped, not divisible by chunks", &[(0, 24, "striped", "2 8 /dev/ubda 0 /dev/ubdb 0")]),
            ("striped, a destination missing", &[(0, 16, "striped", "2 8 /dev/ubda 0")]),
            ("striped, a destination too many", &[(0, 16, "striped", "1 8 /dev/ubda 0 /dev/ubdb 0")]),
            ("striped, more stripes than arguments", &[(0, 1 << 32, "striped", "4294967295 8 /dev/ubda 0")]),
            ("striped, junk behind an offset", &[(0, 16, "striped", "2 8 /dev/ubda 0x /dev/ubdb 0")]),
            ("zero with an argument", &[(0, 8, "zero", "1")]),
        ];
        for (what, lines) in refused {
            self.load(what, "a", lines);
        }
        self.load("a missing device", "nope", &[(0, 8, "error", "")]);
        self.ask("still without a table", "a", Command::DevStatus);
    }

    fn slots(&mut self) {
        self.load("load", "a", &[(0, 100, "linear", "/dev/ubda 384"), (100, 28, "linear", "98:16 0")]);
        self.look("a");
        self.push("resume", Request::resume(name("a")));
        self.look("a");
        self.push("resume again", Request::resume(name("a")));
        self.push("suspend", Request::suspend(name("a")));
        self.push(
            "suspend again",
            Request::suspend(name("a")).with_flags(Flags::NOFLUSH | Flags::SKIP_LOCKFS),
        );
        self.load("load while suspended", "a", &[(0, 64, "linear", "/dev/ubdb 8")]);
        self.look("a");
        self.ask("clear", "a", Command::TableClear);
        self.look("a");
        self.load(
            "load another",
            "a",
            &[(0, 64, "linear", "/dev/ubda 0"), (64, 64, "error", "ignored words")],
        );
        self.push(
            "resume with it",
            Request::resume(name("a")).with_flags(Flags::SKIP_LOCKFS | Flags::NOFLUSH),
        );
        self.look("a");
        self.ask("unknown bits", "a", Command::DevStatus);
        self.push(
            "bits come back",
            Request::new(name("a"), Command::DevStatus).with_flags(Flags(0x0020_0204)),
        );
    }

    fn limits(&mut self) {
        self.load(
            "a later table too large for its disk",
            "a",
            &[(0, DISK_SECTORS + 1, "linear", "/dev/ubda 0")],
        );
        self.look("a");
        self.push("is refused when it is resumed", Request::resume(name("a")));
        self.look("a");
        self.push("resume the old one", Request::resume(name("a")));
        self.look("a");
    }

    fn stacking(&mut self) {
        let lower = format!("{}:0 0", self.major);
        self.load("a device on a device", "b", &[(0, 32, "linear", &lower)]);
        self.ask("the lower is open", "a", Command::DevStatus);
        self.push("resume the upper", Request::resume(name("b")));
        self.ask("the lower is open once", "a", Command::DevStatus);
        self.load("and the other slot", "b", &[(0, 16, "linear", &lower)]);
        self.ask("the lower is open once still", "a", Command::DevStatus);
        self.ask_with("a slot read-only", "b", Flags::READONLY, table(&[(0, 16, "linear", &lower)]));
        self.ask("the lower is open twice", "a", Command::DevStatus);
        self.look("b");
        self.ask("clear it", "b", Command::TableClear);
        self.ask("remove a device in use", "a", Command::DevRemove);
        self.ask_with("later then", "a", Flags::DEFERRED_REMOVE, Command::DevRemove);
        self.look("a");
        let cancel = Command::TargetMsg { sector: Sectors(0), message: "@cancel_deferred_remove".into() };
        self.ask("or not", "a", cancel);
        self.ask("state", "a", Command::DevStatus);
        self.load("a device larger than the lower", "d", &[(0, 4096, "linear", &lower)]);
    }

    fn names(&mut self) {
        let rename = |new: &str| Command::DevRename(new.into());
        self.ask("rename", "a", rename("a2"));
        self.ask("event counted", "a2", Command::DevStatus);
        self.ask("the old name is gone", "a", Command::DevStatus);
        self.ask("rename to itself", "a2", rename("a2"));
        self.load("load for later", "a2", &[(0, 8, "error", "")]);
        self.ask("rename with a table loaded", "a2", rename("a3"));
        self.ask("rename back", "a3", rename("a2"));
        self.ask("clear it", "a2", Command::TableClear);
        self.ask("rename to a taken name", "a2", rename("b"));
        self.ask("rename a missing device", "nope", rename("a3"));
        self.ask("rename with a slash", "a2", rename("x/y"));
        self.ask("rename to nothing", "a2", rename(""));
        self.ask("rename to 128 bytes", "a2", Command::DevRename(Text::from(vec![b'n'; 128])));
        self.ask("rename to 127 bytes", "d", Command::DevRename(Text::from(vec![b'n'; 127])));
        self.push("rename by number", Request::new(DeviceNumber::new(self.major, 7).into(), rename("d")));
        self.ask("rename back", &"n".repeat(127), rename("d"));
        self.push("rename by uuid", Request::new(DeviceId::by_uuid("U-b"), rename("b2")));
        self.ask_with("set the uuid", "a2", Flags::UUID, rename("U-a"));
        self.ask_with("set it again", "a2", Flags::UUID, rename("U-a2"));
        self.ask_with("set a taken uuid", "d", Flags::UUID, rename("U-a"));
        self.push("by the new uuid", Request::new(DeviceId::by_uuid("U-a"), Command::DevStatus));
        self.push("devices with uuids and events", Request::global(Command::ListDevices));
        let waiting = Request::new(name("a2"), Command::DevWait).with_event_nr(77);
        self.push("wait for what has come", waiting.clone().with_flags(Flags::STATUS_TABLE));
        self.push("wait, with the status", waiting);
        for geometry in ["1 2 3 4", "65535 255 255 0", "65536 1 1 0", "1 1 1 2", "1 1 1", "1 1 1 0 ", "x"] {
            self.ask("geometry", "a2", Command::DevSetGeometry(geometry.into()));
        }
        self.ask("geometry of a missing device", "nope", Command::DevSetGeometry("1 1 1 0".into()));
    }

    fn messages(&mut self) {
        let message =
            |sector, message: &str| Command::TargetMsg { sector: Sectors(sector), message: message.into() };
        self.ask("a message that linear does not take", "a2", message(0, "hello"));
        self.ask("a message behind the device", "a2", message(1 << 40, "hello"));
        self.ask("an empty message", "a2", message(0, ""));
        self.ask("an unknown message to the driver", "a2", message(0, "@nonesuch"));
        self.ask("a message to a missing device", "nope", message(0, "hello"));
        self.ask("the target of that name", "linear", Command::GetTargetVersion("linear".into()));
        for target in ["linear", "striped", "zero", "error"] {
            self.push("a target's version", Request::global(Command::GetTargetVersion(target.into())));
        }
        self.push("an unknown target's", Request::global(Command::GetTargetVersion("nonesuch".into())));
        self.push("armed", Request::global(Command::DevArmPoll));
    }

    fn targets(&mut self) {
        let tables: &[(&str, &[Row<'_>])] = &[
            ("striped", &[(0, 64, "striped", "2 8 /dev/ubda 16 /dev/ubdb 32")]),
            ("striped over three", &[(0, 72, "striped", "3 8 /dev/ubda 0 /dev/ubdb 0 /dev/ubda 1000")]),
            ("zero", &[(0, 64, "zero", "")]),
            ("error", &[(0, 64, "error", "")]),
            ("error with words", &[(0, 64, "error", "a b")]),
            ("blanks between", &[(0, 64, "linear", "  /dev/ubda   00012 ")]),
            ("a quoted letter", &[(0, 64, "linear", "/dev/u\\bda 12")]),
            (
                "all at once",
                &[
                    (0, 8, "zero", ""),
                    (8, 16, "striped", "1 16 98:16 0"),
                    (24, 8, "error", ""),
                    (32, 8, "linear", "98:0 0"),
                    (40, 8, "linear", "98:16 8"),
                ],
            ),
        ];
        for (what, lines) in tables {
            self.load(what, "d", lines);
            self.push("resume", Request::resume(name("d")));
            self.look("d");
        }
    }

    fn modes(&mut self) {
        self.ask("create another", "r", Command::DevCreate);
        self.ask_with("a read-only table", "r", Flags::READONLY, table(&[(0, 64, "linear", "/dev/ubda 0")]));
        self.look("r");
        self.push("resume", Request::resume(name("r")));
        self.look("r");
        self.load("a writable table", "r", &[(0, 64, "linear", "/dev/ubda 0")]);
        self.look("r");
        self.push("resume", Request::resume(name("r")));
        self.look("r");
    }

    fn removal(&mut self) {
        self.ask("remove the upper", "b", Command::DevRemove);
        self.ask("the lower is closed", "a2", Command::DevStatus);
        self.push("remove by uuid", Request::new(DeviceId::by_uuid("U-a"), Command::DevRemove));
        self.ask("create below", "low", Command::DevCreate);
        self.load("load below", "low", &[(0, 64, "zero", "")]);
        self.push("resume below", Request::resume(name("low")));
        self.ask("create above", "high", Command::DevCreate);
        let lower = format!("{}:0 0", self.major);
        self.load("load above", "high", &[(0, 64, "linear", &lower)]);
        self.push("resume above", Request::resume(name("high")));
        self.ask_with("remove below when closed", "low", Flags::DEFERRED_REMOVE, Command::DevRemove);
        self.push("list", Request::global(Command::ListDevices));
        self.ask("remove above", "high", Command::DevRemove);
        self.push("remove all", Request::global(Command::RemoveAll));
        self.push("nothing is left", Request::global(Command::ListDevices));
    }
}
