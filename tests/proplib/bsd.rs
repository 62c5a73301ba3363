//! The backend for the BSDs over a stand-in for the kernel, which answers from the vectors to the byte: in memory that it
//! maps into the caller, between two pages that are nobody's to unmap.
#![allow(
    unsafe_code,
    reason = "the stand-in does a kernel's work: it reads a caller's memory and maps some into it"
)]

use crate::vectors::{Step, scenario, side_scenarios};
use nix::libc;
use rdmsetup::backend::{Bsd, Client, Dialect, Surroundings, System};
use rdmsetup::dm::{
    Command, DeviceId, DeviceNumber, Errno, Flags, Line, Request, Sectors, SourceTable, Table,
};
use rdmsetup::sys::plistref::{PlistIoctl, PlistRef, exchange};
use rdmsetup::wire::proplib::{self, Dict, MAX_REQUEST, Value};
use std::cell::RefCell;
use std::ffi::c_void;
use std::io;
use std::path::Path;
use std::rc::Rc;

/// What the stand-in has done.
#[derive(Debug, Default)]
struct Log {
    /// The words that came, in order.
    words: Vec<String>,
    /// The three pages of each reply, and how long the reply is.
    mapped: Vec<(*mut c_void, usize)>,
}

/// What it answers to the next request.
#[derive(Debug)]
enum Answer {
    /// What the kernel answered to this step, whose request must be the one that comes.
    Step(&'static str, &'static str),
    /// The same of the main scenario, had it been about a device of that name and not about "nosuch".
    Of(&'static str, &'static str),
    /// What the kernel answered to a step, whichever.
    Any(Step),
    /// An error of the ioctl itself.
    Error(i32),
}

#[derive(Debug)]
struct StandIn {
    answers: std::vec::IntoIter<Answer>,
    log: Rc<RefCell<Log>>,
}

fn page() -> usize {
    // SAFETY: a question that changes nothing.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap()
}

/// Maps a reply between two other pages.
fn map(reply: &[u8]) -> (*mut c_void, *mut c_void) {
    let inner = reply.len().next_multiple_of(page());
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: new memory, wherever the kernel puts it.
    let whole = unsafe { libc::mmap(std::ptr::null_mut(), inner + 2 * page(), access, kind, -1, 0) };
    assert_ne!(whole, libc::MAP_FAILED);
    let place = whole.wrapping_byte_add(page());
    // SAFETY: the inner pages hold the reply, and nobody else knows of them.
    unsafe { std::ptr::copy_nonoverlapping(reply.as_ptr(), place.cast(), reply.len()) };
    (whole, place)
}

/// Whether a page is mapped.
fn is_mapped(place: *mut c_void) -> bool {
    // SAFETY: msync of a page changes nothing, and fails where there is none.
    unsafe { libc::msync(place, page(), libc::MS_ASYNC) == 0 }
}

// SAFETY: on success the reference names pages that were mapped for this call and that this never touches again.
unsafe impl PlistIoctl for StandIn {
    fn call(&mut self, number: u32, reference: &mut PlistRef) -> io::Result<()> {
        assert_eq!(number, proplib::shipped_number());
        // SAFETY: the caller's text, as long as it says, for the time of the call.
        let text = unsafe { std::slice::from_raw_parts(reference.plist.cast::<u8>(), reference.length) };
        assert_eq!(text.last(), Some(&0), "the closing NUL counts");
        assert!(text.len() <= MAX_REQUEST);
        let sent = proplib::parse(text, MAX_REQUEST).unwrap();
        let word = sent.text("command").map_or_else(String::new, ToString::to_string);
        self.log.borrow_mut().words.push(word);
        let step = match self.answers.next().expect("no more was to be asked") {
            Answer::Error(errno) => return Err(io::Error::from_raw_os_error(errno)),
            Answer::Step(folder, tag) => step(folder, tag),
            Answer::Any(step) => step,
            Answer::Of(name, tag) => {
                let renamed =
                    |text: Vec<u8>| String::from_utf8(text).unwrap().replace("nosuch", name).into_bytes();
                let Step { tag, request, reply } = step("", tag);
                Step { tag, request: renamed(request), reply: reply.map(renamed) }
            }
        };
        assert_eq!(without_minor_0(sent), without_minor_0(step.sent()), "{}", step.tag);
        let mut reply = step.reply.unwrap();
        reply.push(0);
        let (whole, place) = map(&reply);
        self.log.borrow_mut().mapped.push((whole, reply.len()));
        *reference = PlistRef { plist: place, length: reply.len() };
        Ok(())
    }
}

fn step(folder: &str, tag: &str) -> Step {
    scenario(folder).into_iter().find(|step| step.tag == tag).expect(tag)
}

/// The backend says `minor` 0 where the captured requests say none; the driver ignores it.
fn without_minor_0(mut dict: Dict) -> Dict {
    if dict.u32("minor") == Some(0) {
        dict.remove("minor");
    }
    // libdm asks for the targets with 4.1.0, and any version up to 4.16 gets the same.
    dict.set("version", Value::Array(Vec::new()));
    dict
}

/// A client of the stand-in, to be asked once, and then looked at.
struct Bench {
    client: Client,
    log: Rc<RefCell<Log>>,
}

fn bench(answers: Vec<Answer>, system: System, superuser: bool) -> Bench {
    let log = Rc::new(RefCell::new(Log::default()));
    let node = StandIn { answers: answers.into_iter(), log: Rc::clone(&log) };
    let is_disk = |path: &[u8]| path.starts_with(b"/dev/wd") || path.starts_with(b"/dev/this");
    let around = Surroundings { system, superuser, major: 169, is_disk };
    let bsd = Bsd::over(Box::new(node), around, Path::new("/dev"));
    Bench { client: Client::speaking(Box::new(bsd), Dialect::Netbsd), log }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.log.borrow().check_unmapped();
    }
}

impl Log {
    /// That of all that was mapped the replies were unmapped, and nothing else.
    fn check_unmapped(&self) {
        for (whole, length) in &self.mapped {
            let inner = length.next_multiple_of(page());
            for offset in (0..inner).step_by(page()) {
                assert!(!is_mapped(whole.wrapping_byte_add(page() + offset)), "the reply was left mapped");
            }
            for outer in [*whole, whole.wrapping_byte_add(page() + inner)] {
                assert!(is_mapped(outer), "what is no reply was unmapped");
                // SAFETY: the page is this test's own.
                assert_eq!(unsafe { libc::munmap(outer, page()) }, 0);
            }
        }
    }
}

fn root(answers: Vec<Answer>) -> Bench {
    bench(answers, System::NetBsd, true)
}

fn main_step(tag: &'static str) -> Answer {
    Answer::Step("", tag)
}

fn on(name: &str, command: Command) -> Request {
    Request::new(DeviceId::by_name(name), command).with_flags(Flags::EXISTS)
}

fn load(text: &str) -> Command {
    Command::TableLoad(SourceTable::parse(text.as_bytes()).unwrap().table)
}

impl Bench {
    #[track_caller]
    fn fails(&mut self, request: &Request) -> (Errno, String) {
        let error = self.client.perform(request).unwrap_err();
        (error.errno, error.fault.unwrap().reason)
    }

    fn words(&self) -> Vec<String> {
        self.log.borrow().words.clone()
    }
}

#[test]
fn every_captured_reply_comes_through_mapped_memory_to_the_byte() {
    let mut count = 0;
    let folders = side_scenarios();
    for folder in folders.iter().map(String::as_str).chain(["", "forms"]) {
        for step in scenario(folder).into_iter().filter(|step| step.reply.is_some()) {
            let log = Rc::new(RefCell::new(Log::default()));
            let [request, wanted] =
                [&step.request, step.reply.as_ref().unwrap()].map(|text| [text, &b"\0"[..]].concat());
            let tag = step.tag.clone();
            let mut node = StandIn { answers: vec![Answer::Any(step)].into_iter(), log: Rc::clone(&log) };
            let mapped = exchange(&mut node, proplib::shipped_number(), &request).unwrap();
            assert!(mapped.as_bytes() == wanted, "{tag}");
            let (whole, _) = log.borrow().mapped[0];
            assert!(is_mapped(whole.wrapping_byte_add(page())), "it is there for as long as it is read");
            drop(mapped);
            log.borrow().check_unmapped();
            count += 1;
        }
    }
    assert!(count > 195, "{count}");
}

#[test]
fn what_went_well_is_a_reply_with_whole_numbers() {
    let mut bench = root(vec![main_step("09-names"), main_step("20-info-live"), main_step("24-deps")]);
    let names = bench.client.perform(&Request::global(Command::ListDevices)).unwrap();
    assert_eq!(names.devices()[3].dev, DeviceNumber::new(169, 4));
    let info = bench.client.perform(&on("vol0", Command::DevStatus)).unwrap();
    assert_eq!((info.device.dev, info.target_count), (Some(DeviceNumber::new(169, 1)), 2));
    let deps = bench.client.perform(&on("vol0", Command::TableDeps)).unwrap();
    assert_eq!(deps.deps()[0], DeviceNumber::new(197, 2));
}

#[test]
fn a_silent_failure_is_the_error_that_it_was() {
    for (tag, request, errno) in [
        ("55-info-missing", on("nosuch", Command::DevStatus), Errno::ENXIO),
        ("56-status-missing", on("nosuch", Command::TableStatus), Errno::ENXIO),
        ("58-deps-missing", on("nosuch", Command::TableDeps), Errno::ENXIO),
        ("59-remove-missing", on("nosuch", Command::DevRemove), Errno::ENXIO),
        ("62-clear-missing", on("nosuch", Command::TableClear), Errno::ENXIO),
        ("60-suspend-missing", on("nosuch", Command::DevSuspend).with_flags(Flags::SUSPEND), Errno::ENXIO),
    ] {
        let mut bench = root(vec![main_step(tag)]);
        assert_eq!(bench.fails(&request), (errno, "there is no device \"nosuch\"".into()), "{tag}");
    }
    let uuid = DeviceId { uuid: "LVM-8b0Zt2qkzsFJcR0Uo9wYV3mXr1tGd6aH".into(), ..DeviceId::by_name("vol0") };
    let create = Request::new(uuid, Command::DevCreate);
    assert_eq!(root(vec![main_step("05-create-duplicate")]).fails(&create).0, Errno::EEXIST);
    root(vec![main_step("04-create-uuid")]).client.perform(&create).unwrap();
}

#[test]
fn who_is_not_the_superuser_is_told() {
    let mut bench = bench(vec![Answer::Step("more/unpriv", "05-unpriv-create")], System::NetBsd, false);
    let name = step("more/unpriv", "05-unpriv-create").sent().text("name").unwrap().clone();
    let (errno, reason) = bench.fails(&Request::new(DeviceId::by_name(name), Command::DevCreate));
    assert_eq!((errno, reason.as_str()), (Errno::EPERM, "the driver takes this from the superuser alone"));
}

#[test]
fn an_error_of_the_ioctl_itself_is_that_error() {
    for (errno, ours) in
        [(libc::EIO, Errno::EIO), (libc::EFAULT, Errno::EFAULT), (libc::ENOENT, Errno::ENXIO)]
    {
        let mut bench = bench(vec![Answer::Error(errno)], System::DragonFly, true);
        assert_eq!(bench.fails(&on("vol0", Command::DevStatus)).0, ours);
    }
}

#[test]
fn resume_asks_whether_there_is_a_table_to_swap_in() {
    let resume = Request::resume(DeviceId::by_name("vol0"));
    let mut loaded = root(vec![main_step("14-info-inactive"), main_step("19-resume")]);
    loaded.client.perform(&resume).unwrap();
    assert_eq!(loaded.words(), ["info", "resume"]);
    let mut running = root(vec![main_step("20-info-live")]);
    assert!(running.client.perform(&resume).unwrap().flags.contains(Flags::ACTIVE_PRESENT));
    assert_eq!(running.words(), ["info"], "it runs, and goes on running");
    let mut suspended = root(vec![main_step("28-info-suspended")]);
    let (errno, reason) = suspended.fails(&resume);
    assert!(errno == Errno::EINVAL && reason.contains("would take its table away"), "{reason}");
    assert_eq!(
        root(vec![main_step("10-info-no-table")]).fails(&resume).1,
        "\"vol0\" has no table: load one first"
    );
    let missing = Request::resume(DeviceId::by_name("nosuch"));
    assert_eq!(root(vec![main_step("55-info-missing")]).fails(&missing).0, Errno::ENXIO);
}

#[test]
fn a_table_is_sent_when_the_driver_survives_it() {
    let text = "0 8192 linear /dev/wd0a 384\n8192 4096 linear /dev/wd1a 0";
    let mut good = root(vec![main_step("02-targets"), main_step("13-reload-linear2")]);
    let reply = good.client.perform(&on("vol0", load(text))).unwrap();
    assert!(reply.flags.contains(Flags::INACTIVE_PRESENT));
    assert_eq!(good.words(), ["targets", "reload"]);
    let mut unknown = root(vec![main_step("02-targets")]);
    let (errno, reason) = unknown.fails(&on("vol0", load("0 8 nosuchtarget x")));
    assert!(errno == Errno::EINVAL && reason.contains("no target type \"nosuchtarget\""), "{reason}");
    // These do not even reach the driver.
    for (text, errno) in [
        ("0 8 linear /dev/wd0a", Errno::EINVAL),
        ("0 8 linear", Errno::EINVAL),
        ("0 8 linear /dev/nosuch 0", Errno::ENODEV),
        ("0 8 linear /dev/this-is-a-device-path-longer-than-31 0", Errno::EINVAL),
        ("0 8 striped 2 8 /dev/wd0a 0 /dev/nosuch 0", Errno::ENODEV),
        ("0 8 striped 2 8 /dev/wd0a 0", Errno::EINVAL),
        ("0 40 striped 5 8 /dev/wd0a 0 /dev/wd0a 8 /dev/wd0a 16 /dev/wd0a 24 /dev/wd0a 32", Errno::EINVAL),
        ("0 8 mirror core 1 8 2 /dev/wd0a 0 /dev/wd1a 0", Errno::EOPNOTSUPP),
    ] {
        let mut bench = root(Vec::new());
        assert_eq!(bench.fails(&on("vol0", load(text))).0, errno, "{text}");
        assert!(bench.words().is_empty());
    }
}

#[test]
fn what_the_driver_lacks_or_would_get_wrong_is_not_sent() {
    let message = Command::TargetMsg { sector: Sectors(0), message: "hello".into() };
    let renamed = || Command::DevRename("new".into());
    for request in [
        Request::global(Command::RemoveAll),
        on("vol0", Command::DevWait),
        on("vol0", message.clone()),
        on("vol0", Command::DevSetGeometry("1 1 1 0".into())),
        on("vol0", renamed()).with_flags(Flags::UUID),
        on("vol0", Command::DevRemove).with_flags(Flags::DEFERRED_REMOVE),
        on("vol0", Command::DevCreate).with_flags(Flags::PERSISTENT_DEV),
        Request::new(DeviceId::by_uuid("u"), renamed()),
    ] {
        let mut bench = root(Vec::new());
        assert_eq!(bench.fails(&request).0, Errno::EOPNOTSUPP, "{request:?}");
        assert!(bench.words().is_empty());
    }
    for request in
        [Request::global(Command::DevArmPoll), Request::global(Command::GetTargetVersion("linear".into()))]
    {
        assert_eq!(root(Vec::new()).fails(&request).0, Errno::EOPNOTSUPP, "there is not even a word for it");
    }
    let mut dragonfly = bench(Vec::new(), System::DragonFly, true);
    assert_eq!(dragonfly.fails(&on("vol0", renamed())).0, Errno::EOPNOTSUPP);
    let other = Request::new(DeviceNumber::new(253, 1).into(), Command::DevStatus);
    assert_eq!(root(Vec::new()).fails(&other).0, Errno::ENXIO, "a device of another driver");
}

#[test]
fn a_name_is_given_when_it_is_free_and_a_device_removed_when_it_is_gone() {
    let taken =
        root(vec![main_step("10-info-no-table")]).fails(&on("vol1", Command::DevRename("vol0".into())));
    assert_eq!(taken, (Errno::EBUSY, "there is a device \"vol0\" already".into()));
    let long = "n".repeat(128);
    assert_eq!(root(Vec::new()).fails(&on("s", Command::DevRename(long.into()))).0, Errno::EINVAL);
    // NetBSD's reply to a remove is the same whether or not it was done.
    let mut gone = root(vec![main_step("88-remove-vol0"), Answer::Of("vol0", "55-info-missing")]);
    gone.client.perform(&on("vol0", Command::DevRemove)).unwrap();
    assert_eq!(gone.words(), ["remove", "info"]);
    let mut free = root(vec![Answer::Of("vol1-renamed", "55-info-missing"), main_step("48-rename")]);
    free.client.perform(&on("vol1", Command::DevRename("vol1-renamed".into()))).unwrap();
    let mut there = root(vec![main_step("88-remove-vol0"), main_step("20-info-live")]);
    let (errno, reason) = there.fails(&on("vol0", Command::DevRemove));
    assert_eq!((errno, reason.as_str()), (Errno::EBUSY, "the device \"vol0\" is still there: in use"));
    let mut cleared = root(vec![main_step("41-clear"), main_step("42-info-after-clear")]);
    cleared.client.perform(&on("vol1", Command::TableClear)).unwrap();
}

#[test]
fn a_request_has_at_most_64_kilobytes() {
    let line = |number: u64| Line {
        start: Sectors(number * 8),
        length: Sectors(8),
        target: "linear".into(),
        params: "/dev/wd0a 0".into(),
    };
    let table = |lines: u64| Command::TableLoad(Table { lines: (0..lines).map(line).collect() });
    let mut bench = root(Vec::new());
    let (errno, reason) = bench.fails(&on("vol0", table(500)));
    assert!(errno == Errno::EINVAL && reason.ends_with("65535 are the most"), "{reason}");
    assert!(bench.words().is_empty());
}
