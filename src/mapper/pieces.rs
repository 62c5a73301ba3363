//! One part of a request, served by one mapping: moving its bytes.

use crate::block::{AGAIN, Access, Allocation, BlockDevice, Medium, Pdev, Visit};
use crate::dm::{Bytes, Errno, SECTOR_SIZE, Sectors};
use crate::target::{Ended, Mapping, Target};
use std::ops::Range;
use std::sync::Arc;

/// A part of a request that one mapping serves.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) target: &'a dyn Target,
    /// The first sector of the part, from the target's start.
    pub(super) sector: Sectors,
    pub(super) mapping: Mapping<'a>,
    /// Bytes between the mapping's first sector and the part: less than a sector.
    pub(super) skip: u64,
    /// Bytes in the part, at least 1.
    pub(super) length: u64,
}

impl Medium for Piece<'_> {
    fn read(&self, buffer: &mut [u8]) -> Result<(), Errno> {
        self.read(buffer)
    }

    fn write(&self, data: &[u8]) -> Result<(), Errno> {
        self.write(data)
    }

    fn lend(&self, visit: &mut Visit<'_>) -> Option<Result<(), Errno>> {
        let sectors = Sectors((self.skip + self.length).div_ceil(SECTOR_SIZE));
        self.target.lend(self.sector, sectors, &mut |pdev, sector| {
            pdev.extents(Access::Read, self.position(sector)?, Bytes(self.length), visit)
        })
    }

    fn expects_writes(&self) -> bool {
        self.target.expects_writes()
    }
}

impl Piece<'_> {
    /// The part's length as memory has it.
    pub(super) fn bytes(&self) -> Result<usize, Errno> {
        usize::try_from(self.length).map_err(|_| Errno::EIO)
    }

    /// Where in a pdev the part lies, if the mapping starts at that sector of it.
    pub(super) fn position(&self, sector: Sectors) -> Result<Bytes, Errno> {
        let at = sector.to_bytes().and_then(|at| at.0.checked_add(self.skip));
        at.map(Bytes).ok_or(Errno::EIO)
    }

    /// Where in a request's memory the part lies that begins that many bytes into the request.
    pub(super) fn place(&self, done: u64) -> Result<Range<usize>, Errno> {
        let done = usize::try_from(done).map_err(|_| Errno::EIO)?;
        Ok(done..done + self.bytes()?)
    }

    /// Tells the target that its I/O begins where it was sent.
    pub(super) fn start(&self) {
        if let Mapping::Remap { pdev, .. } = self.mapping {
            self.target.start_io(pdev, Bytes(self.length));
        }
    }

    /// Tells the target that it has ended.
    pub(super) fn finish(&self) {
        if let Mapping::Remap { pdev, .. } = self.mapping {
            self.target.finish_io(pdev, Bytes(self.length));
        }
    }

    /// What the target makes of this failure.
    pub(super) fn ended(&self, errno: Errno) -> Ended {
        match self.mapping {
            // From a device below: it is not its failure.
            _ if errno == AGAIN => Ended::Again,
            Mapping::Remap { pdev, .. } => self.target.end_io(pdev, errno),
            Mapping::Zero { .. } | Mapping::Fail { .. } | Mapping::Handle { .. } => Ended::Failed,
        }
    }

    pub(super) fn read(&self, buffer: &mut [u8]) -> Result<(), Errno> {
        match self.mapping {
            Mapping::Remap { pdev, sector, .. } => pdev.read_at(buffer, self.position(sector)?),
            Mapping::Zero { .. } => {
                buffer.fill(0);
                Ok(())
            }
            Mapping::Fail { errno, .. } => Err(errno),
            Mapping::Handle { .. } if self.is_whole() => self.target.read(self.sector, buffer),
            Mapping::Handle { .. } => {
                let sectors = self.sectors()?;
                buffer.copy_from_slice(sectors.get(self.within()?).ok_or(Errno::EIO)?);
                Ok(())
            }
        }
    }

    pub(super) fn write(&self, data: &[u8]) -> Result<(), Errno> {
        match self.mapping {
            Mapping::Remap { pdev, sector, .. } => pdev.write_at(data, self.position(sector)?),
            Mapping::Zero { .. } => Ok(()),
            Mapping::Fail { errno, .. } => Err(errno),
            Mapping::Handle { .. } if self.is_whole() => self.target.write(self.sector, data),
            Mapping::Handle { .. } => self.target.write(self.sector, &self.sectors_with(data)?),
        }
    }

    /// Writes through what caches there are; gives the file that is to be flushed yet for that.
    pub(super) fn write_through(&self, data: &[u8]) -> Result<Option<&Arc<Pdev>>, Errno> {
        match self.mapping {
            Mapping::Remap { pdev, sector, .. } if pdev.as_file().is_none() => {
                pdev.write_through(data, self.position(sector)?)?;
            }
            Mapping::Remap { pdev, .. } => {
                self.write(data)?;
                return Ok(Some(pdev));
            }
            Mapping::Zero { .. } | Mapping::Fail { .. } => self.write(data)?,
            Mapping::Handle { .. } if self.is_whole() => self.target.write_through(self.sector, data)?,
            Mapping::Handle { .. } => self.target.write_through(self.sector, &self.sectors_with(data)?)?,
        }
        Ok(None)
    }

    pub(super) fn discard(&self) -> Result<(), Errno> {
        match self.mapping {
            Mapping::Remap { pdev, sector, .. } => pdev.discard(self.position(sector)?, Bytes(self.length)),
            Mapping::Zero { .. } => Ok(()),
            Mapping::Fail { errno, .. } => Err(errno),
            // A discard is a wish: parts of sectors are left as they are.
            Mapping::Handle { .. } if self.is_whole() => {
                self.target.discard(self.sector, Sectors(self.length / SECTOR_SIZE))
            }
            Mapping::Handle { .. } => Ok(()),
        }
    }

    pub(super) fn write_zeroes(&self, may_unmap: bool) -> Result<(), Errno> {
        match self.mapping {
            Mapping::Remap { pdev, sector, .. } => {
                pdev.write_zeroes(self.position(sector)?, Bytes(self.length), may_unmap)
            }
            Mapping::Zero { .. } => Ok(()),
            Mapping::Fail { errno, .. } => Err(errno),
            Mapping::Handle { .. } if self.is_whole() => {
                self.target.write_zeroes(self.sector, Sectors(self.length / SECTOR_SIZE), may_unmap)
            }
            Mapping::Handle { .. } => self.write(&vec![0; self.bytes()?]),
        }
    }

    /// Whether the part's first bytes are stored, and how many are alike.
    pub(super) fn allocation(&self) -> Result<Allocation, Errno> {
        match self.mapping {
            Mapping::Zero { .. } => Ok(Allocation::Hole(Bytes(self.length))),
            Mapping::Remap { pdev, sector, .. } => {
                pdev.allocation(self.position(sector)?, Bytes(self.length))
            }
            Mapping::Fail { .. } | Mapping::Handle { .. } => Ok(Allocation::Data(Bytes(self.length))),
        }
    }

    /// Whether the part is whole sectors, which is all that a target handles.
    fn is_whole(&self) -> bool {
        self.skip == 0 && self.length.is_multiple_of(SECTOR_SIZE)
    }

    /// The content of the sectors that the part touches.
    fn sectors(&self) -> Result<Vec<u8>, Errno> {
        let bytes = (self.skip + self.length).next_multiple_of(SECTOR_SIZE);
        let mut sectors = vec![0; usize::try_from(bytes).map_err(|_| Errno::EIO)?];
        self.target.read(self.sector, &mut sectors)?;
        Ok(sectors)
    }

    /// The same with the part replaced.
    fn sectors_with(&self, data: &[u8]) -> Result<Vec<u8>, Errno> {
        let mut sectors = self.sectors()?;
        sectors.get_mut(self.within()?).ok_or(Errno::EIO)?.copy_from_slice(data);
        Ok(sectors)
    }

    /// The part's place among them.
    fn within(&self) -> Result<Range<usize>, Errno> {
        let skip = usize::try_from(self.skip).map_err(|_| Errno::EIO)?;
        Ok(skip..skip + self.bytes()?)
    }
}
