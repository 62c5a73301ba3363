//! Reports of a small catalogue: what dmsetup prints, and sorting and selecting against slow models.

use super::*;
use crate::dm::Text;

/// A row of the tests.
#[derive(Clone, Debug)]
struct Row {
    name: Text,
    minor: u32,
    open: i32,
    size: f64,
    used: Vec<Text>,
}

const NAME: Groups = Groups(1);
const INFO: Groups = Groups(2);
const GROUPS: &[Group] = &[
    Group { bit: NAME, prefix: "name_", title: "Device Name" },
    Group { bit: INFO, prefix: "info_", title: "Device Information" },
];

macro_rules! field {
    ($group:ident, $key:literal, $heading:literal, $kind:ident, $width:literal, $value:expr) => {
        Field {
            group: $group,
            key: $key,
            heading: $heading,
            kind: Kind::$kind,
            width: $width,
            help: "Of a device.",
            value: $value,
        }
    };
}

static CATALOGUE: Catalogue<Row> = Catalogue {
    groups: GROUPS,
    fields: &[
        &[field!(NAME, "dev_name", "Name", Text, 6, |row| Ok(Value::text(row.name.clone())))],
        &[
            field!(INFO, "minor", "Min", Number, 3, |row| Ok(Value::unsigned(row.minor))),
            field!(INFO, "open", "Open", Number, 4, |row| Ok(Value::signed(row.open))),
            field!(INFO, "size", "Size", Size, 4, |row| Ok(Value::real(
                format!("{:.2}k", row.size / 2.0),
                row.size
            ))),
            field!(INFO, "used", "Used", List, 4, |row| Ok(Value::List(row.used.clone()))),
            field!(INFO, "never", "Never", Text, 5, |_| Err(NoValue::NotThere)),
        ],
    ],
};

fn row(name: &str, minor: u32, open: i32, size: f64, used: &[&str]) -> Row {
    Row { name: name.into(), minor, open, size, used: used.iter().map(|item| Text::from(*item)).collect() }
}

fn rows() -> Vec<Row> {
    vec![
        row("vg-b", 2, 1, 16.0, &["x", "y"]),
        row("vg-a", 10, 0, 4096.0, &[]),
        row("it's", 3, -1, 1.0, &["vg-a"]),
    ]
}

fn request<'a>(columns: &'a str, sort: &'a str, select: &'a str, classic: bool) -> Request<'a> {
    Request {
        columns: columns.as_bytes(),
        sort: sort.as_bytes(),
        select: select.as_bytes(),
        base: Groups::NONE,
        layout: Layout::default(),
        classic,
    }
}

fn shown(request: &Request) -> String {
    let mut report = Report::new(&CATALOGUE, request).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    for row in rows() {
        report.add(&row).unwrap();
    }
    String::from_utf8(report.output()).unwrap()
}

/// The names of the rows that a selection takes.
fn selected(select: &str, classic: bool) -> String {
    let mut request = request("dev_name", "", select, classic);
    request.layout.headings = Headings::None;
    request.layout.aligned = false;
    shown(&request).trim_end().replace('\n', " ")
}

fn refused(columns: &str, sort: &str, select: &str) -> Vec<String> {
    Report::new(&CATALOGUE, &request(columns, sort, select, true)).map(drop).expect_err(select).lines
}

#[test]
fn columns_are_padded_texts_left_numbers_right() {
    assert_eq!(
        shown(&request("DevName,min_or,open,size,used", "", "", true)),
        "Name   Min Open Size     Used\n\
         vg-b     2    1    8.00k x,y \n\
         vg-a    10    0 2048.00k     \n\
         it's     3   -1    0.50k vg-a\n"
    );
}

#[test]
fn layouts_are_dmsetups_and_quotes_are_marked_only_elsewhere() {
    let mut request = request("devname,minor", "-minor", "minor<10", true);
    request.layout.aligned = false;
    request.layout.prefix = Some("DM_");
    assert_eq!(
        shown(&request),
        "Name Min\nDM_DEV_NAME='it's' DM_MINOR='3'\nDM_DEV_NAME='vg-b' DM_MINOR='2'\n"
    );
    request.layout.by_field = true;
    request.classic = false;
    assert_eq!(
        shown(&request),
        "Name DM_DEV_NAME='it'\\''s' DM_DEV_NAME='vg-b'\nMin DM_MINOR='3' DM_MINOR='2'\n"
    );
    request.layout = Layout { buffered: false, headings: Headings::Full, ..Layout::default() };
    request.sort = b"";
    assert_eq!(shown(&request), "dev_name minor\nvg-b         2\nit's         3\n");
    request.layout = Layout { json: true, ..Layout::default() };
    request.columns = b"devname,open,size,used";
    assert_eq!(
        shown(&request),
        "{\"report\":[\n{\"dev_name\":\"vg-b\",\"open\":1,\"size\":\"8.00k\",\"used\":[\"x\",\"y\"]},\n\
         {\"dev_name\":\"it's\",\"open\":-1,\"size\":\"0.50k\",\"used\":[\"vg-a\"]}\n]}\n"
    );
}

#[test]
fn a_number_below_zero_sorts_above_all_others() {
    let mut request = request("devname", "open", "", true);
    request.layout.aligned = false;
    assert_eq!(shown(&request), "Name\nvg-a\nvg-b\nit's\n");
}

#[test]
fn selections_take_what_dmsetups_take() {
    for (select, names) in [
        ("dev_name=vg-a", "vg-a"),
        ("devname != 'vg-a'", "vg-b it's"),
        ("DEV_NAME=~^vg", "vg-b vg-a"),
        ("dev_name!~vg && open!=0", "it's"),
        ("minor>2,minor<=10", "vg-a it's"),
        ("minor=2 || minor = 3.9", "vg-b it's"),
        ("!(minor=2#minor=3)", "vg-a"),
        ("!(!(minor=2))", "vg-a it's"),
        ("(minor>=2 && minor<10) && dev_name=~-", "vg-b"),
        ("dev_name=\"it's\"", "it's"),
        ("size=8k", "vg-b"),
        ("size>=2048000b", "vg-a"),
        ("size<1", "vg-b it's"),
        ("size=2", "vg-a"),
        ("used='x,y'", "vg-b"),
        ("used=", "vg-a"),
        ("used=~^y", ""),
        ("all", "vg-b vg-a it's"),
        ("dev_name=vg-a||selected=1", "vg-b vg-a it's"),
    ] {
        assert_eq!(selected(select, true), names, "{select}");
    }
    for (select, names) in [
        ("!(!(minor=2))", "vg-b"),
        ("used=[x,y]", "vg-b"),
        ("used=[x]", ""),
        ("used={x}", "vg-b"),
        ("used={x,y}", "vg-b"),
        ("used=[x||vg-a]", "vg-b it's"),
        ("used=y", "vg-b"),
        ("used!=y", "vg-a it's"),
        ("used=~^y", "vg-b"),
        ("used=[]", "vg-a"),
    ] {
        assert_eq!(selected(select, false), names, "{select}");
    }
}

#[test]
fn refusals_begin_with_dmsetups_line() {
    for (select, first, last) in [
        ("foo=1", "Device Name Fields", "Unrecognised selection field: foo"),
        (
            "dev_name>1",
            "Selection operands",
            "Operator can be used only with number, size, time or percent fields: dev_name>1",
        ),
        ("minor since 5", "Selection operands", "Operator can be used only with time fields: minor since 5"),
        ("dev_name=~", "Regular expression expected for selection field dev_name", ""),
        ("minor=x", "Failed to parse numeric value for selection field minor.", ""),
        ("minor=5k", "Found size unit specifier but numeric value expected for selection field minor.", ""),
        (
            "minor=99999999999999999999",
            "Field selection value 99999999999999999999 out of supported range for field minor.",
            "-",
        ),
        ("minor=~5", "dm_report: incompatible comparison type for selection field minor", "-"),
        ("(minor=1", "Syntax error: right parenthesis expected at ''", "-"),
        ("!minor=1", "Syntax error: left parenthesis expected at 'minor=1'", "-"),
        ("minor=1)", "Expecting logical operator", ""),
        ("dev_name='x", "Missing end quote.", ""),
        ("", "Expecting field name", ""),
    ] {
        let select = if select.is_empty() { " " } else { select };
        let lines = refused("dev_name", "", select);
        assert_eq!(lines[0], first, "{select}");
        match last {
            "-" => assert_eq!(lines.len(), 1, "{select}"),
            "" => assert_eq!(lines.last().unwrap(), "Use 'help' for selection to get more help."),
            last => assert_eq!(lines[lines.len() - 3], last),
        }
    }
    assert_eq!(refused("dev_name,", "", "").last().unwrap(), "Unrecognised field: ");
    assert_eq!(refused("x", "", "").last().unwrap(), "Unrecognised field: x");
    assert_eq!(refused("minor", "x", "").last().unwrap(), "dm_report: Unrecognised field: x");
    assert_eq!(refused("minor", "+", "")[0], "dm_report: Missing sort field name");
    let long = "m".repeat(40);
    assert_eq!(refused(&long, "", "")[0], format!("{}: field name too long.", "m".repeat(9)));
}

#[test]
fn words_for_groups_are_dmsetups() {
    let keys = |columns, base, classic| {
        let mut request = request(columns, "", "dev_name=none", classic);
        request.base = base;
        let report = Report::new(&CATALOGUE, &request).unwrap();
        report.columns_shown()
    };
    assert_eq!(keys("name_all", Groups::NONE, true), ["dev_name"]);
    assert_eq!(keys("InfoAll", Groups::NONE, true), ["minor", "open", "size", "used", "never"]);
    assert_eq!(keys("all", Groups::NONE, true).len(), 6);
    assert_eq!(keys("dev_name,all", Groups::NONE, true), ["dev_name", "dev_name"]);
    assert_eq!(keys("dev_name,all", Groups::NONE, false).len(), 7);
    assert_eq!(keys("all", NAME, true), ["dev_name"]);
    let help = Report::new(&CATALOGUE, &request("help", "", "", true)).unwrap();
    assert_eq!(
        help.notes()[..4],
        [
            "Device Name Fields",
            "------------------",
            "  name_all - All fields in this section.",
            "  dev_name - Of a device."
        ]
    );
}

#[test]
fn a_row_without_the_value_is_told_of() {
    let mut report = Report::new(&CATALOGUE, &request("never", "", "", true)).unwrap();
    let lines = report.add(&rows()[0]).unwrap_err().lines;
    assert_eq!(lines, ["_do_report_object: no data assigned to field never"]);
}

#[test]
fn no_selection_and_no_list_of_columns_make_it_panic() {
    arbtest::arbtest(|u| {
        let pieces = [
            "dev_name", "minor", "size", "used", "=", "=~", "!~", "!=", ">=", "<", "since", "&&", ",", "||",
            "#", "!", "(", ")", "[", "]", "{", "}", "'", "\"", " ", "5", ".", "5k", "%", "x", "+", "-",
            "all", "\u{e9}",
        ];
        let mut text = Vec::new();
        for _ in 0..u.int_in_range(0..=12)? {
            if u.ratio(1, 10)? {
                text.push(u.arbitrary::<u8>()?);
            } else {
                text.extend_from_slice(u.choose(&pieces)?.as_bytes());
            }
        }
        for (columns, sort, select) in
            [(&text[..], &b""[..], &b""[..]), (b"minor", &text, b""), (b"minor", b"", &text)]
        {
            for classic in [true, false] {
                let request = Request { columns, sort, select, ..request("", "", "", classic) };
                if let Ok(mut report) = Report::new(&CATALOGUE, &request) {
                    let _ = report.add(&rows()[0]);
                    report.output();
                }
            }
        }
        Ok(())
    });
    assert!(Report::new(&CATALOGUE, &request("minor", "", &"(".repeat(100_000), true)).is_err());
}

#[test]
fn sorting_and_selecting_agree_with_a_slow_model() {
    arbtest::arbtest(|u| {
        let mut rows = Vec::new();
        for _ in 0..u.int_in_range(0..=12)? {
            rows.push(row(u.choose(&["a", "b", "c"])?, u.int_in_range(0..=3)?, 0, 0.0, &[]));
        }
        let (limit, name) = (u.int_in_range(0..=3u32)?, *u.choose(&["a", "b"])?);
        let (operator, holds): (&str, fn(u32, u32) -> bool) = *u.choose(&[
            ("=", (|one, other| one == other) as fn(u32, u32) -> bool),
            ("!=", |one, other| one != other),
            (">", |one, other| one > other),
            (">=", |one, other| one >= other),
            ("<", |one, other| one < other),
            ("<=", |one, other| one <= other),
        ])?;
        let select = format!("minor{operator}{limit} || dev_name={name}");
        let mut report =
            Report::new(&CATALOGUE, &request("devname,minor", "-minor,devname", &select, true)).unwrap();
        let mut expected: Vec<&Row> = Vec::new();
        for row in &rows {
            let taken = holds(row.minor, limit) || row.name == name;
            assert_eq!(report.add(row).unwrap(), taken, "{select}: {row:?}");
            // Each before the first that is to stand behind it: insertion, the slow way.
            let behind = |other: &&Row| (row.minor, other.name.clone()) > (other.minor, row.name.clone());
            let place = expected.iter().position(behind).unwrap_or(expected.len());
            if taken {
                expected.insert(place, row);
            }
        }
        let text = String::from_utf8(report.output()).unwrap();
        let lines: Vec<String> = text.lines().skip(1).map(|line| line.replace(' ', "")).collect();
        let expected: Vec<String> = expected.iter().map(|row| format!("{}{}", row.name, row.minor)).collect();
        assert_eq!(lines, expected);
        Ok(())
    });
}
