//! Devices and what they use, as a tree: who is under whom, and the drawing of it.
//!
//! The order is libdevmapper's, since scripts read it: a device is a root as long as no other uses it; devices come in
//! the order in which they are added, each followed at once by those under it. A device that several use is drawn under
//! each of them.

use crate::dm::{DeviceNumber, Text};
use std::collections::HashMap;

/// How deep a drawing goes.
const MAX_DEPTH: usize = 100;

/// Devices, and for each the ones that it uses and that use it.
#[derive(Clone, Debug, Default)]
pub struct DeviceTree {
    nodes: Vec<TreeNode>,
    places: HashMap<DeviceNumber, usize>,
    roots: Vec<usize>,
    leaves: Vec<usize>,
}

/// A device of the tree.
#[derive(Clone, Debug, Default)]
pub struct TreeNode {
    /// Its number.
    pub dev: DeviceNumber,
    /// What a driver tells of it; `None` for a device that is not mapped.
    pub mapped: Option<TreeDevice>,
    uses: Vec<usize>,
    used_by: Vec<usize>,
}

/// What a driver tells of a mapped device.
#[derive(Clone, Debug, Default)]
pub struct TreeDevice {
    /// As people write it.
    pub name: Text,
    /// Empty when it has none.
    pub uuid: Text,
    /// Lets no I/O through.
    pub is_suspended: bool,
    /// Cannot be written.
    pub is_readonly: bool,
    /// How many hold it open.
    pub open_count: i32,
    /// The block devices under it.
    pub deps: Vec<DeviceNumber>,
}

impl DeviceTree {
    /// Adds a device that `look` knows, and all under it.
    ///
    /// # Errors
    /// What `look` fails with; it is asked once for each device.
    pub fn add<E>(
        &mut self,
        dev: DeviceNumber,
        look: &mut impl FnMut(DeviceNumber) -> Result<Option<TreeDevice>, E>,
    ) -> Result<(), E> {
        let place = self.place(dev, look)?;
        if self.nodes[place].used_by.is_empty() && !self.roots.contains(&place) {
            self.roots.push(place);
        }
        self.grow(place, look)
    }

    /// The node of the device; a new one if it has none.
    fn place<E>(
        &mut self,
        dev: DeviceNumber,
        look: &mut impl FnMut(DeviceNumber) -> Result<Option<TreeDevice>, E>,
    ) -> Result<usize, E> {
        if let Some(&place) = self.places.get(&dev) {
            return Ok(place);
        }
        let place = self.nodes.len();
        let mapped = look(dev)?;
        self.nodes.push(TreeNode { dev, mapped, ..TreeNode::default() });
        self.places.insert(dev, place);
        Ok(place)
    }

    /// Adds what is under a node, if that is not there yet.
    fn grow<E>(
        &mut self,
        top: usize,
        look: &mut impl FnMut(DeviceNumber) -> Result<Option<TreeDevice>, E>,
    ) -> Result<(), E> {
        // A stack, not a call for each level: a driver may tell of any depth.
        let mut open = vec![(top, 0)];
        while let Some((place, next)) = open.pop() {
            let node = &self.nodes[place];
            let deps = node.mapped.as_ref().map_or(&[][..], |mapped| &mapped.deps);
            if deps.is_empty() && next == 0 && !self.leaves.contains(&place) {
                self.leaves.push(place);
            }
            let Some(&dev) = deps.get(next) else { continue };
            if next == 0 && !node.uses.is_empty() {
                continue;
            }
            open.push((place, next + 1));
            let is_new = !self.places.contains_key(&dev);
            let child = self.place(dev, look)?;
            self.roots.retain(|root| *root != child);
            if !self.nodes[place].uses.contains(&child) {
                self.nodes[place].uses.push(child);
                self.nodes[child].used_by.push(place);
            }
            if is_new {
                open.push((child, 0));
            }
        }
        Ok(())
    }

    /// The device of that number.
    pub fn find(&self, dev: DeviceNumber) -> Option<&TreeNode> {
        self.places.get(&dev).map(|&place| &self.nodes[place])
    }

    /// Every device, each behind the first that uses it.
    pub fn nodes(&self) -> &[TreeNode] {
        &self.nodes
    }

    /// The devices that a device uses.
    pub fn used<'a>(&'a self, node: &'a TreeNode) -> impl Iterator<Item = &'a TreeNode> {
        node.uses.iter().map(|&place| &self.nodes[place])
    }

    /// The devices that use a device.
    pub fn users<'a>(&'a self, node: &'a TreeNode) -> impl Iterator<Item = &'a TreeNode> {
        node.used_by.iter().map(|&place| &self.nodes[place])
    }

    /// The devices that no other uses.
    pub fn roots(&self) -> impl Iterator<Item = &TreeNode> {
        self.roots.iter().map(|&place| &self.nodes[place])
    }

    /// The drawing. `kernel_name` is asked only if the style has the kernel's names.
    pub fn draw(&self, style: &TreeStyle, kernel_name: &dyn Fn(DeviceNumber) -> Option<Text>) -> Vec<u8> {
        let levels = Vec::new();
        let mut pen = Pen { tree: self, style, kernel_name, text: Vec::new(), column: 1, last: None, levels };
        // Without roots of its own, a walk up from the leaves, each of which has its turn.
        let tops = if style.inverted { &self.leaves } else { &self.roots };
        pen.draw_all(tops);
        pen.text
    }
}

/// How a tree is drawn.
#[derive(Clone, Debug)]
pub struct TreeStyle {
    /// The signs for lines.
    pub signs: TreeSigns,
    /// Show `(MAJOR:MINOR)`.
    pub number: bool,
    /// Show `<dm-0>`.
    pub kernel_name: bool,
    /// Show whether it is suspended.
    pub active: bool,
    /// Show whether it can be written.
    pub writable: bool,
    /// Show how many hold it open.
    pub open: bool,
    /// Show the uuid.
    pub uuid: bool,
    /// A device and the first one under it on one line, where nothing but names and numbers are shown.
    pub compact: bool,
    /// What is used at the left, not what uses it.
    pub inverted: bool,
    /// Where lines are cut off.
    pub width: Option<usize>,
}

/// The signs for lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeSigns {
    /// `|-`
    Ascii,
    /// `├─`
    Utf8,
    /// The same by a terminal's other character set.
    Vt100,
}

impl TreeSigns {
    /// Nothing, a branch, a line that goes on, the last branch; on one line: the only one, the first one.
    pub(super) fn pieces(self) -> [&'static str; 6] {
        match self {
            Self::Ascii => ["  ", "|-", "| ", "`-", "---", "-+-"],
            Self::Utf8 => ["  ", "├─", "│ ", "└─", "───", "─┬─"],
            Self::Vt100 => [
                "  ",
                "\x1b(0\x0ftq\x1b(B",
                "\x1b(0\x0fx\x1b(B ",
                "\x1b(0\x0fmq\x1b(B",
                "\x1b(0\x0fqqq\x1b(B",
                "\x1b(0\x0fqwq\x1b(B",
            ],
        }
    }
}

/// A level of the way to the device that is drawn.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    /// Others follow on it.
    more: bool,
    /// Columns that its device takes on the line, when the line goes on behind it.
    width: usize,
}

/// Draws.
struct Pen<'a> {
    tree: &'a DeviceTree,
    style: &'a TreeStyle,
    kernel_name: &'a dyn Fn(DeviceNumber) -> Option<Text>,
    text: Vec<u8>,
    /// The column of the next character, from 1.
    column: usize,
    /// A character in the last column, kept until it is known that nothing follows.
    last: Option<u8>,
    levels: Vec<Level>,
}

impl Pen<'_> {
    fn is_compact(&self) -> bool {
        let style = self.style;
        style.compact && !(style.active || style.writable || style.open || style.uuid)
    }

    /// Draws devices and all under each.
    fn draw_all(&mut self, tops: &[usize]) {
        let mut open = vec![(tops, 0)];
        while let Some((places, next)) = open.pop() {
            let Some(&place) = places.get(next) else { continue };
            let depth = open.len();
            open.push((places, next + 1));
            let node = &self.tree.nodes[place];
            let children = if self.style.inverted { &node.used_by } else { &node.uses };
            self.draw_node(node, depth, next + 1 < places.len(), !children.is_empty());
            open.push((children, 0));
        }
    }

    fn draw_node(&mut self, node: &TreeNode, depth: usize, more: bool, has_children: bool) {
        let is_named = node.mapped.as_ref().is_some_and(|mapped| !mapped.name.is_empty());
        if depth + 2 > MAX_DEPTH || !is_named && !self.style.number && !self.style.kernel_name {
            return;
        }
        if self.levels.len() <= depth {
            self.levels.resize(depth + 1, Level::default());
        }
        self.levels[depth] = Level { more, width: 0 };
        let [empty, branch, line, last, only, first] = self.style.signs.pieces();
        let compact = self.is_compact();
        let begins_line = self.column == 1;
        if !compact || begins_line {
            for level in 0..depth {
                (0..=self.levels[level].width).for_each(|_| self.put(b' '));
                let more = self.levels[level + 1].more;
                self.write(match (level + 1 == depth, more) {
                    (true, true) => branch,
                    (true, false) => last,
                    (false, true) => line,
                    (false, false) => empty,
                });
            }
        }
        let begin = self.column;
        if compact && !begins_line {
            self.write(if more { first } else { only });
        }
        self.draw_label(node);
        if compact {
            self.levels[depth].width = self.column - begin;
        }
        if !compact || !has_children {
            self.end_line();
        }
    }

    fn draw_label(&mut self, node: &TreeNode) {
        if let Some(mapped) = &node.mapped {
            mapped.name.iter().for_each(|byte| self.put(*byte));
        }
        if self.style.kernel_name
            && let Some(name) = (self.kernel_name)(node.dev)
        {
            self.write(" <");
            name.iter().for_each(|byte| self.put(*byte));
            self.write(">");
        }
        if self.style.number {
            self.write(&format!(" ({})", node.dev));
        }
        let Some(mapped) = &node.mapped else { return };
        let style = self.style;
        let attributes: Vec<Vec<u8>> = [
            style
                .active
                .then(|| if mapped.is_suspended { b"SUSPENDED".to_vec() } else { b"ACTIVE".to_vec() }),
            style.writable.then(|| if mapped.is_readonly { b"RO".to_vec() } else { b"RW".to_vec() }),
            style.open.then(|| mapped.open_count.cast_unsigned().to_string().into_bytes()),
            style.uuid.then(|| mapped.uuid.to_vec()),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !attributes.is_empty() {
            self.write(" [");
            attributes.join(&b", "[..]).iter().for_each(|byte| self.put(*byte));
            self.write("]");
        }
    }

    fn write(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.put(byte));
    }

    /// A byte, if the line is not cut off before it. dmsetup counts characters of UTF-8 by their first byte.
    fn put(&mut self, byte: u8) {
        let begins = byte & 0xc0 != 0x80;
        self.column += usize::from(begins);
        let Some(width) = self.style.width else {
            self.text.push(byte);
            return;
        };
        if self.column <= width {
            self.text.push(byte);
        }
        if self.column == width + 1 && begins {
            if self.last.is_some() || byte & 0x80 != 0 {
                self.text.extend_from_slice(b"...");
            } else {
                self.last = Some(byte);
                self.column -= 1;
            }
        }
    }

    fn end_line(&mut self) {
        let last = self.last.take();
        if self.style.width == Some(self.column) {
            self.text.extend(last);
        }
        self.text.push(b'\n');
        self.column = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    const STYLE: TreeStyle = TreeStyle {
        signs: TreeSigns::Ascii,
        number: true,
        kernel_name: false,
        active: false,
        writable: false,
        open: false,
        uuid: false,
        compact: false,
        inverted: false,
        width: Some(80),
    };

    /// `a` over `b` and disk 8:16, `b` over disk 8:0, `c` over `b`.
    fn tree() -> DeviceTree {
        let mut look = |dev: DeviceNumber| -> Result<Option<TreeDevice>, Infallible> {
            let disk = |minor| DeviceNumber::new(8, minor);
            let (name, deps) = match (dev.major, dev.minor) {
                (253, 0) => ("b", vec![disk(0)]),
                (253, 1) => ("a", vec![DeviceNumber::new(253, 0), disk(16)]),
                (253, 2) => ("c", vec![DeviceNumber::new(253, 0)]),
                _ => return Ok(None),
            };
            Ok(Some(TreeDevice { name: name.into(), uuid: "U".into(), deps, ..TreeDevice::default() }))
        };
        let mut tree = DeviceTree::default();
        for minor in 0..3 {
            tree.add(DeviceNumber::new(253, minor), &mut look).unwrap();
        }
        tree
    }

    fn drawn(style: &TreeStyle) -> String {
        String::from_utf8(tree().draw(style, &|_| Some("k".into()))).unwrap()
    }

    #[test]
    fn trees_are_drawn_as_dmsetup_draws_them() {
        assert_eq!(
            drawn(&STYLE),
            "a (253:1)\n |-b (253:0)\n |  `- (8:0)\n `- (8:16)\nc (253:2)\n `-b (253:0)\n    `- (8:0)\n"
        );
        assert_eq!(
            drawn(&TreeStyle { inverted: true, signs: TreeSigns::Utf8, ..STYLE }),
            " (8:0)\n └─b (253:0)\n    ├─a (253:1)\n    └─c (253:2)\n (8:16)\n └─a (253:1)\n"
        );
        assert_eq!(
            drawn(&TreeStyle { compact: true, number: false, ..STYLE }),
            // Disks have no names, so nothing ends the lines of the devices over them.
            "a-+-b---c---b"
        );
        assert_eq!(
            drawn(&TreeStyle {
                active: true,
                writable: true,
                open: true,
                uuid: true,
                kernel_name: true,
                ..STYLE
            })
            .lines()
            .next(),
            Some("a <k> (253:1) [ACTIVE, RW, 0, U]")
        );
    }

    #[test]
    fn a_line_is_cut_off_at_the_width_and_not_before() {
        let first =
            |width| drawn(&TreeStyle { width: Some(width), ..STYLE }).lines().next().unwrap().to_owned();
        assert_eq!(first(10), "a (253:1)");
        assert_eq!(first(9), "a (253:1)");
        assert_eq!(first(8), "a (253:...");
    }

    #[test]
    fn users_and_used_are_told() {
        let tree = tree();
        let b = tree.find(DeviceNumber::new(253, 0)).unwrap();
        assert_eq!(tree.users(b).count(), 2);
        assert_eq!(tree.used(b).map(|node| node.dev).collect::<Vec<_>>(), [DeviceNumber::new(8, 0)]);
    }
}
