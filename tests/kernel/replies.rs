//! The same requests to the kernel and to the mapper: equal replies, equal errors.

use crate::guest::{self, DISK_A};
use crate::script::{Step, large_blocks, script};
use rdmsetup::backend::{Backend, Kernel, User};
use rdmsetup::dm::{DeviceNumber, Errno, Flags, Reply, ReplyBody, Request, Text};
use rdmsetup::mapper::{self, StateDir};
use rdmsetup::wire::linux;
use std::path::Path;
use std::process::Command;

/// Where the mapper answers otherwise than Linux 6.1, and why. A step that is listed here and does not differ is an
/// error, so that the list stays true.
const DIFFERENCES: &[(&str, &str)] = &[(
    "a message without a table",
    "Linux returns the positive number 2 and no reply: success to every caller, though nobody got the message",
)];

pub(crate) fn ask(backend: &mut dyn Backend, request: &Request) -> Result<Reply, Errno> {
    let kind = request.command.kind();
    let mut buffer = linux::encode_request(request, 16 * 1024).unwrap();
    backend.ioctl(linux::ioctl_number(kind), &mut buffer)?;
    assert!(!linux::buffer_is_full(&buffer));
    Ok(linux::decode_reply(kind, &buffer).unwrap())
}

/// The reply without what is each driver's own: its version, its major number, and the uevents that only a kernel
/// sends.
fn comparable(reply: Result<Reply, Errno>, major: u32) -> Result<Reply, Errno> {
    let mut reply = reply?;
    let own = |dev: DeviceNumber| if dev.major == major { DeviceNumber::new(0, dev.minor) } else { dev };
    reply.version = mapper::VERSION;
    reply.device.dev = reply.device.dev.map(own);
    reply.flags = reply.flags.without(Flags::UEVENT_GENERATED);
    match &mut reply.body {
        ReplyBody::Devices(devices) => devices.iter_mut().for_each(|device| device.dev = own(device.dev)),
        ReplyBody::Deps(deps) => deps.iter_mut().for_each(|dev| *dev = own(*dev)),
        ReplyBody::Lines(lines) => {
            for line in lines {
                let words = line.params.split(|&byte| byte == b' ');
                let words: Vec<Vec<u8>> = words
                    .map(|word| {
                        DeviceNumber::parse(word)
                            .map_or(word.to_vec(), |dev| own(dev).to_string().into_bytes())
                    })
                    .collect();
                line.params = Text::from(words.join(&b' '));
            }
        }
        ReplyBody::None | ReplyBody::Versions(_) | ReplyBody::Message(_) => {}
    }
    Ok(reply)
}

/// Sends the steps to both drivers; what differs and should not, or does not and is listed.
fn play(steps: impl Fn(u32) -> Vec<Step>) -> (usize, Vec<String>) {
    let mut kernel = Kernel::open(Path::new("/dev"), true).unwrap();
    let mut user = User::new(StateDir::new(Some(Path::new("/tmp/state"))).unwrap());
    let major = guest::kernel_major();
    let (mut count, mut faults) = (0, Vec::new());
    for (theirs, ours) in steps(major).into_iter().zip(steps(mapper::MAJOR)) {
        count += 1;
        let expected = comparable(ask(&mut kernel, &theirs.request), major);
        let answer = comparable(ask(&mut user, &ours.request), mapper::MAJOR);
        user.commit().unwrap();
        let listed = DIFFERENCES.iter().find(|(what, _)| *what == theirs.what);
        if (expected == answer) == listed.is_some() {
            let Step { what, request } = theirs;
            faults.push(format!(
                "step {count}, {what}:\n  {request:?}\n  kernel {expected:?}\n  mapper {answer:?}"
            ));
        }
    }
    (count, faults)
}

#[test]
fn the_mapper_answers_as_the_kernel_does() {
    guest::run("replies::the_mapper_answers_as_the_kernel_does", || {
        let (count, faults) = play(script);
        assert!(count >= 60, "{count} steps only");
        assert!(faults.is_empty(), "{} of {count} steps differ:\n{}", faults.len(), faults.join("\n"));
    });
}

#[test]
fn blocks_of_4096_bytes_are_respected_as_the_kernel_does() {
    guest::run("replies::blocks_of_4096_bytes_are_respected_as_the_kernel_does", || {
        let made =
            Command::new("losetup").args(["--sector-size", "4096", "/dev/loop0", DISK_A]).status().unwrap();
        assert!(made.success());
        let (count, faults) = play(large_blocks);
        assert!(faults.is_empty(), "{} of {count} steps differ:\n{}", faults.len(), faults.join("\n"));
    });
}

#[test]
fn the_mappers_targets_have_the_kernels_versions() {
    guest::run("replies::the_mappers_targets_have_the_kernels_versions", || {
        let mut kernel = Kernel::open(Path::new("/dev"), true).unwrap();
        for target in rdmsetup::target::TARGETS {
            let asked = Request::global(rdmsetup::dm::Command::GetTargetVersion(target.name.into()));
            let reply = ask(&mut kernel, &asked).unwrap();
            let [theirs] = reply.versions() else { panic!("{}: {reply:?}", target.name) };
            assert_eq!(theirs.version, target.version, "{}", target.name);
        }
    });
}
