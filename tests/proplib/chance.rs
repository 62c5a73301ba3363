//! Dictionaries changed by chance, and texts that are nothing else: nobody panics, and memory has a bound.
//!
//! A million of them, `PLIST_TRIES` for another number; with CI set they end after a minute at most.
#![allow(unsafe_code, reason = "a counting allocator is an unsafe trait")]

use crate::vectors::scenario;
use rdmsetup::dm::CommandKind;
use rdmsetup::mapper::Mapper;
use rdmsetup::wire::proplib::{self, MAX_REQUEST, MEMORY_PER_BYTE, PROPOSED, SHIPPED};
use rdmsetup::wire::{Call, Side, explain, show};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// How long the tries may take in CI.
const LIMIT: Duration = Duration::from_secs(60);

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, counting what each thread has.
struct Counting;

fn count(bytes: isize) {
    // A thread that is ending has no counters any more, and nothing is measured there.
    let _ = NOW.try_with(|now| {
        now.set(now.get() + bytes);
        PEAK.with(|peak| peak.set(peak.get().max(now.get())));
    });
}

// SAFETY: every call goes to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller keeps to the trait's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller keeps to the trait's contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that this thread had at once during the call, beyond those before.
fn peak_of<T>(call: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW.with(Cell::get);
    PEAK.with(|peak| peak.set(before));
    let result = call();
    (result, PEAK.with(Cell::get).saturating_sub(before).max(0).cast_unsigned())
}

/// Numbers that look like chance, the same at each run (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (limit.max(1) as u64)).unwrap()
    }

    fn damage(&mut self, text: &mut Vec<u8>, pieces: &[&[u8]]) {
        for _ in 0..=self.below(4) {
            let at = self.below(text.len() + 1);
            match self.below(5) {
                0 if at < text.len() => text[at] = self.below(256).to_le_bytes()[0],
                1 => drop(text.drain(at..(at + self.below(30)).min(text.len()))),
                2 => text.truncate(at),
                3 if at < text.len() => {
                    let piece = text[at..(at + self.below(60)).min(text.len())].to_vec();
                    text.splice(at..at, piece);
                }
                _ => {
                    let piece = pieces[self.below(pieces.len())];
                    text.splice(at..at, piece.iter().copied());
                }
            }
        }
    }
}

impl Chance {
    /// A text of pieces and bytes; most begin and end as a dictionary does.
    fn invent(&mut self, pieces: &[&[u8]]) -> Vec<u8> {
        let is_framed = self.below(4) > 0;
        let mut text = if is_framed { b"<plist><dict>".to_vec() } else { Vec::new() };
        for _ in 0..self.below(12) {
            match self.below(8) {
                0 => text.extend((0..self.below(20)).map(|_| self.below(256).to_le_bytes()[0])),
                1 => text.extend(format!("<key>{}</key>", self.below(9)).bytes()),
                2 => text.extend(format!("<integer>{:#x}</integer>", self.below(usize::MAX)).bytes()),
                _ => text.extend_from_slice(pieces[self.below(pieces.len())]),
            }
        }
        if is_framed {
            text.extend_from_slice(b"</dict></plist>");
        }
        text
    }
}

const PIECES: &[&[u8]] = &[
    b"<dict>",
    b"</dict>",
    b"<array>",
    b"</array>",
    b"<key>",
    b"</key>",
    b"<string/>",
    b"<integer>0x",
    b"</integer>",
    b"-",
    b"<data>",
    b"==",
    b"&amp;",
    b"&",
    b"<!--",
    b"-->",
    b"\0",
    b"9223372036854775808",
    b"<plist>",
    b"\"",
    b" ",
    b"<key>minor</key><integer>0x7</integer>",
    b"<key>major</key><integer>0xffffffff</integer>",
    b"<key>cmd_data</key><dict/>",
    b"<key>cmd_data</key><array><array/></array>",
    b"<true/>",
];

/// How many texts were tried, how many of them owe nothing to a captured one, how many were dictionaries, and how many of
/// these the mapper carried out.
#[derive(Clone, Copy, Default)]
struct Tally {
    tried: usize,
    invented: usize,
    read: usize,
    performed: usize,
}

/// Tries so many texts, damaged as the seed has it, or as many as there is time for.
fn try_texts(texts: &[Vec<u8>], seed: u64, tries: usize) -> Tally {
    let begun = Instant::now();
    let limit = std::env::var_os("CI").map(|_| LIMIT);
    let mut chance = Chance(seed);
    let mut mapper = Mapper::new();
    let mut tally = Tally::default();
    for round in 0..tries {
        if round % 256 == 0 && limit.is_some_and(|limit| begun.elapsed() > limit) {
            break;
        }
        if round % 4096 == 0 {
            mapper = Mapper::new();
        }
        let text = if round % 8 == 0 {
            tally.invented += 1;
            chance.invent(PIECES)
        } else {
            let mut text = texts[chance.below(texts.len())].clone();
            chance.damage(&mut text, PIECES);
            text
        };
        try_text(&text, &mut chance, &mut mapper, &mut tally);
    }
    tally
}

fn try_text(text: &[u8], chance: &mut Chance, mapper: &mut Mapper, tally: &mut Tally) {
    let (parsed, peak) = peak_of(|| proplib::parse(text, MAX_REQUEST));
    assert!(
        peak <= MEMORY_PER_BYTE * text.len() + 1024,
        "{peak} for {}: {}",
        text.len(),
        text.escape_ascii()
    );
    tally.tried += 1;
    let Ok(dict) = parsed else { return };
    tally.read += 1;
    let kind = CommandKind::ALL[chance.below(CommandKind::ALL.len())];
    for vocabulary in [&SHIPPED, &PROPOSED] {
        if let Ok(reply) = proplib::decode_reply(vocabulary, kind, &dict) {
            let again = proplib::encode_reply(vocabulary, kind, &reply, proplib::Dict::default());
            let _ = proplib::decode_reply(vocabulary, kind, &again);
        }
    }
    // Each is a request to the mapper; only what it reads as one gets that far.
    let is_proposed = chance.below(3) == 0;
    let number = if is_proposed { proplib::proposed_number(kind) } else { proplib::shipped_number() };
    let (_, peak) = peak_of(|| {
        let asked = show::ask(number, text);
        let _ = (asked.request_line(text), asked.request_dictionary(text), explain(text, None, Side::Reply));
    });
    assert!(peak <= 8 * MEMORY_PER_BYTE * text.len() + 65536, "{peak} bytes to show {}", text.len());
    let (_, peak) = peak_of(|| Call::read(number, text));
    assert!(
        peak <= 2 * MEMORY_PER_BYTE * text.len() + 1024,
        "{peak} bytes to read {} as a request",
        text.len()
    );
    tally.performed += usize::from(mapper.ioctl(number, &mut text.to_vec()).is_ok());
}

#[test]
fn a_million_damaged_dictionaries_hurt_nobody() {
    let tries: usize = std::env::var("PLIST_TRIES").map_or(1_000_000, |tries| tries.parse().unwrap());
    let steps = ["", "forms", "more/stripemany"].into_iter().flat_map(scenario);
    let texts: Vec<Vec<u8>> = steps.flat_map(|step| [Some(step.request), step.reply]).flatten().collect();
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get().min(8));
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let texts = &texts;
        let share = tries.div_ceil(threads);
        let seeds = (1..=threads as u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let running: Vec<_> = seeds.map(|seed| scope.spawn(move || try_texts(texts, seed, share))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let sum = |what: fn(&Tally) -> usize| tallies.iter().map(what).sum::<usize>();
    let (tried, read, performed) = (sum(|t| t.tried), sum(|t| t.read), sum(|t| t.performed));
    assert!(sum(|t| t.invented) >= tried / 8);
    assert!(
        read > tried / 20 && performed > tried / 200,
        "{tried} tries, {read} read, {performed} performed"
    );
    // In CI so many as there was time for, which no machine is so slow for as not to get to a tenth.
    let least = if std::env::var_os("CI").is_some() { tries / 10 } else { tries };
    assert!(tried >= least, "only {tried} tries of {tries}");
}

#[test]
fn the_worst_texts_keep_to_the_bound() {
    let fill = |piece: &str, head: &str, tail: &str| {
        let room = MAX_REQUEST - 100 - head.len() - tail.len();
        format!("<plist><dict><key>x</key>{head}{}{tail}</dict></plist>", piece.repeat(room / piece.len()))
    };
    for text in [
        fill("<true/>", "<array>", "</array>"),
        fill("<dict><key/></dict>", "<array>", "</array>"),
        fill("<dict><key></key><true/></dict>", "<array>", "</array>"),
        fill("<array><true/></array>", "<array>", "</array>"),
        fill("<array><array><true/></array></array>", "<array>", "</array>"),
        fill("a", "<string>", "</string>"),
        fill("<string>a</string>", "<array>", "</array>"),
        fill("AAAA", "<data>", "</data>"),
        fill("<data>AAAA</data>", "<array>", "</array>"),
        fill("<array>", "", ""),
    ] {
        let (_, peak) = peak_of(|| proplib::parse(text.as_bytes(), MAX_REQUEST));
        assert!(peak <= MEMORY_PER_BYTE * text.len(), "{peak} for {}: {}", text.len(), &text[..80]);
    }
    let keys: String = (0..3000).map(|number| format!("<key>{number}</key><true/>")).collect();
    let text = format!("<plist><dict>{keys}</dict></plist>");
    let (dict, peak) = peak_of(|| proplib::parse(text.as_bytes(), 1 << 20));
    assert!(dict.is_ok() && peak <= MEMORY_PER_BYTE * text.len(), "{peak}");
}
