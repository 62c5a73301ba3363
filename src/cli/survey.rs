//! What people's tables leave to be found out: units in targets' arguments, and percentages of devices.

use super::context::Context;
use crate::backend::disk_size;
use crate::dm::{
    Amounts, Errno, Fault, Role, Sectors, SourceTable, Surveyor, TableDraft, TableSyntaxError, Text,
};
use crate::target;
use std::collections::BTreeMap;

/// Asks the target types what words are, and the driver how large devices are.
struct Survey<'a> {
    ctx: &'a mut Context,
    planned: &'a BTreeMap<Text, Sectors>,
}

impl Surveyor for Survey<'_> {
    fn roles(&self, target: &[u8], words: &[Text]) -> Option<Vec<Role>> {
        target::find(target).map(|known| (known.roles)(words))
    }

    fn size(&mut self, device: &Text) -> Result<Sectors, Fault> {
        let name = device.strip_prefix(b"/dev/mapper/").map_or_else(|| device.clone(), Text::from);
        if let Some(size) = self.planned.get(&name) {
            return Ok(*size);
        }
        let asked = self.ctx.client().map_err(|_| Fault::new(Errno::ENODEV, "the driver cannot be asked"));
        disk_size(asked?, device)
    }
}

impl Context {
    /// Reads a table that somebody wrote, who may count on devices that are `planned`, with their sizes.
    pub(super) fn source_table(
        &mut self,
        text: &[u8],
        planned: &BTreeMap<Text, Sectors>,
    ) -> Result<SourceTable, TableSyntaxError> {
        if self.classic {
            return SourceTable::parse(text);
        }
        SourceTable::parse_as(text, Amounts::Sizes(&mut Survey { ctx: self, planned }))
    }

    /// The same of one that may be wrong in several places.
    pub(super) fn table_draft(&mut self, text: &[u8], planned: &BTreeMap<Text, Sectors>) -> TableDraft {
        if self.classic {
            return TableDraft::parse(text, Amounts::Sectors);
        }
        TableDraft::parse(text, Amounts::Sizes(&mut Survey { ctx: self, planned }))
    }
}
