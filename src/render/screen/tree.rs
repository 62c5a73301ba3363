//! Devices over what they stand on, as a tree in the first column of a list.

use super::grid::{Column, Grid, cell};
use super::lists::{SeenDevice, columns, row};
use super::{Ink, Screen};
use crate::dm::{DeviceNumber, Text};
use crate::render::{DeviceName, DeviceTree, TreeNode, TreeSigns};
use std::collections::HashMap;

/// How deep a drawing goes.
const MAX_DEPTH: usize = 100;

/// What a drawing has at hand.
struct Drawing<'a> {
    tree: &'a DeviceTree,
    seen: HashMap<DeviceNumber, &'a SeenDevice>,
    name_of: &'a dyn Fn(DeviceNumber) -> Option<Text>,
    signs: TreeSigns,
    grid: Grid,
}

/// Every device that no other uses, and under each what it uses; `name_of` names what is no mapped device.
pub fn tree(
    screen: Screen,
    tree: &DeviceTree,
    seen: &[SeenDevice],
    signs: TreeSigns,
    name_of: &dyn Fn(DeviceNumber) -> Option<Text>,
) -> Vec<u8> {
    let seen = seen.iter().filter_map(|device| Some((device.reply.device.dev?, device))).collect();
    let grid = Grid::new(columns(Column::text("NAME", name_ink)));
    let mut drawing = Drawing { tree, seen, name_of, signs, grid };
    tree.roots().for_each(|root| drawing.add(root, "", "", 0));
    drawing.grid.draw(screen)
}

/// Branches are as bright as names, since they are drawn with them.
fn name_ink(_: &str) -> Ink {
    Ink::Name
}

impl Drawing<'_> {
    /// The node and all under it; `branch` leads to it, and `stem` to what is under it.
    fn add(&mut self, node: &TreeNode, branch: &str, stem: &str, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        let name = match &node.mapped {
            Some(mapped) => cell(&mapped.name),
            None => (self.name_of)(node.dev).map_or_else(|| "disk".to_owned(), |name| cell(&name)),
        };
        let reply = self.seen.get(&node.dev).map(|device| &device.reply);
        self.grid.row(row(format!("{branch}{name}"), reply, &DeviceName::Number(node.dev)));
        let [empty, fork, line, last, ..] = self.signs.pieces();
        let below: Vec<&TreeNode> = self.tree.used(node).collect();
        for (index, child) in below.iter().enumerate() {
            let (to_it, past_it) = if index + 1 == below.len() { (last, empty) } else { (fork, line) };
            self.add(child, &format!("{stem}{to_it} "), &format!("{stem}{past_it} "), depth + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Paint;
    use super::*;
    use crate::render::TreeDevice;
    use std::convert::Infallible;

    #[test]
    fn branches_lead_to_what_is_under_a_device() {
        let mut look = |dev: DeviceNumber| -> Result<Option<TreeDevice>, Infallible> {
            let disk = |minor| DeviceNumber::new(8, minor);
            let (name, deps) = match (dev.major, dev.minor) {
                (253, 0) => ("low", vec![disk(0), disk(16)]),
                (253, 1) => ("top", vec![DeviceNumber::new(253, 0), disk(32)]),
                _ => return Ok(None),
            };
            Ok(Some(TreeDevice { name: name.into(), deps, ..TreeDevice::default() }))
        };
        let mut devices = DeviceTree::default();
        for minor in 0..2 {
            devices.add(DeviceNumber::new(253, minor), &mut look).unwrap();
        }
        let screen = Screen { width: 80, paint: Paint::Plain };
        let text =
            tree(screen, &devices, &[], TreeSigns::Utf8, &|dev| (dev.minor == 0).then(|| "sda".into()));
        let text = String::from_utf8(text).unwrap();
        let name = |line: &str| line.chars().take(10).collect::<String>().trim_end().to_owned();
        let names: Vec<String> = text.lines().map(name).collect();
        assert_eq!(names, ["NAME", "top", "├─ low", "│  ├─ sda", "│  └─ disk", "└─ disk"]);
        assert!(text.lines().nth(3).unwrap().ends_with("8:0"), "{text}");
    }
}
