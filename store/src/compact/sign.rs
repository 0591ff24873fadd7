//! Signing messages: each task either signs some thousand that are not yet, in the order of the
//! log, or makes one file of several (FORMAT.md, "Signatures").
//!
//! A file is whole and verified before those that it replaces are removed. Nothing names them but
//! themselves, so a crash leaves files that say the same twice, or one without a header.
//!
//! A task takes as many messages as come to some megabytes, so that what is to be emptied meanwhile
//! need not wait for long.

use super::ahead::Ahead;
use super::letter::octets_at;
use super::passing::Passing;
use super::source::Source;
use super::{CompactError, Pace, Report, Site, unwritten};
use crate::disk::Disk;
use crate::log::Place;
use crate::mail::id::ObjectId;
use crate::search::{
    Anchor, Cover, Gathering, Head, Reader, SEARCH, SignFile, SignWriter, Title, UniteError,
    objects, path, unite,
};
use crate::table::locations::{Kind, Locations, seat_of};
use crate::table::manifest::Manifest;
use crate::table::{TableError, at};
use std::ops::Range;

/// What is to be signed, and how.
#[derive(Clone, Debug)]
pub struct Signing {
    pub reader: Reader,
    /// Numbers of files that turned out to be damaged.
    pub damaged: Vec<u32>,
    /// Nothing that is there is believed.
    pub is_anew: bool,
}

/// Takes one step. The report says whether there is another one.
pub(super) async fn sign<D: Disk, P: Pace>(
    site: &Site<'_, D>,
    manifest: &Manifest,
    signing: &Signing,
    pace: &P,
) -> Result<Report, CompactError> {
    if manifest.replay.is_none() {
        return Ok(Report::default());
    }
    let directory = format!("{}/{SEARCH}", site.owner.directory);
    let made = site.disk.create_directory(&directory).await;
    made.map_err(at(&directory))?;
    let anchor = Anchor::of(manifest.replay);
    let version = signing.reader.0.version();
    let mut cover = Cover::look(site.disk, site.owner, anchor, Some(version)).await?;
    cover.disown(&signing.damaged);
    if signing.is_anew {
        let all: Vec<u32> = cover.files.iter().map(|head| head.number).collect();
        cover.disown(&all);
    }
    remove(site, &cover.stale).await?;
    let title = Title {
        number: cover.next_number,
        version,
        anchor,
    };
    if let Some(heads) = cover.to_unite() {
        unite_some(site, manifest, heads, &title).await?;
        return Ok(more(0));
    }
    let end = ObjectId(manifest.last_object().0 + 1);
    match cover.gap(end) {
        Some(gap) => {
            let signer = Signer::new(site, manifest, signing, pace);
            signer.run(&title, gap).await.map(more)
        }
        None => Ok(Report::default()),
    }
}

fn more(signed: u64) -> Report {
    Report {
        signed,
        has_more_to_sign: true,
        ..Report::default()
    }
}

async fn remove<D: Disk>(site: &Site<'_, D>, numbers: &[u32]) -> Result<(), CompactError> {
    for number in numbers {
        let removed = site
            .disk
            .remove(&path(&site.owner.directory, *number))
            .await;
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(unwritten(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Reads a file again before it replaces anything.
async fn verify<D: Disk>(site: &Site<'_, D>, head: &Head) -> Result<(), CompactError> {
    let disk = Ahead::new(site.disk.clone());
    let file = SignFile::open(&disk, site.owner, head.number).await?;
    Ok(file.verify().await?)
}

async fn unite_some<D: Disk>(
    site: &Site<'_, D>,
    manifest: &Manifest,
    heads: &[Head],
    title: &Title,
) -> Result<(), CompactError> {
    match united(site, manifest, heads, title).await {
        Ok(()) => {
            let numbers: Vec<u32> = heads.iter().map(|head| head.number).collect();
            remove(site, &numbers).await
        }
        // What it covered is signed again.
        Err(UniteError::Read(number, TableError::Damaged { .. })) => remove(site, &[number]).await,
        Err(UniteError::Read(_, error)) => Err(error.into()),
        Err(UniteError::Write(error)) => Err(unwritten(error)),
    }
}

async fn united<D: Disk>(
    site: &Site<'_, D>,
    manifest: &Manifest,
    heads: &[Head],
    title: &Title,
) -> Result<(), UniteError> {
    let mut files = Vec::with_capacity(heads.len());
    for head in heads {
        let opened = SignFile::open(site.disk, site.owner, head.number).await;
        files.push(opened.map_err(|error| UniteError::Read(head.number, error))?);
    }
    let gone = gone(site, manifest, objects(&files).await?).await;
    let writer = SignWriter::create(site.disk, site.owner, title.number).await;
    let mut writer = writer.map_err(UniteError::Write)?;
    if let Err(error) = unite(&files, &gone, &mut writer).await {
        writer.abandon().await;
        return Err(error);
    }
    let start = heads.first().map_or(ObjectId(0), |head| head.objects.start);
    let end = heads.last().map_or(start, |head| head.objects.end);
    let written = writer.finish(site.owner, title, start..end).await;
    let head = written.map_err(UniteError::Write)?;
    let verified = verify(site, &head).await;
    verified.map_err(|error| UniteError::Write(std::io::Error::other(error.to_string())))
}

/// Those of ascending objects that lie nowhere any more. Where that cannot be read, none.
async fn gone<D: Disk>(
    site: &Site<'_, D>,
    manifest: &Manifest,
    mut objects: Vec<ObjectId>,
) -> Vec<ObjectId> {
    let (disk, owner) = (site.disk.clone(), site.owner.clone());
    let table = Locations::new(disk, owner, &manifest.locations);
    let mut at = 0;
    while let Some(object) = objects.get(at) {
        match table.find(*object).await {
            Ok(None) => at += 1,
            _ => drop(objects.remove(at)),
        }
    }
    objects
}

/// Signs what lies in a gap.
struct Signer<'a, D: Disk, P> {
    site: &'a Site<'a, D>,
    manifest: &'a Manifest,
    signing: &'a Signing,
    pace: &'a P,
    locations: Locations<D>,
    gathering: Gathering,
}

impl<'a, D: Disk, P: Pace> Signer<'a, D, P> {
    fn new(
        site: &'a Site<'a, D>,
        manifest: &'a Manifest,
        signing: &'a Signing,
        pace: &'a P,
    ) -> Signer<'a, D, P> {
        let (disk, owner) = (site.disk.clone(), site.owner.clone());
        Signer {
            site,
            manifest,
            signing,
            pace,
            locations: Locations::new(disk, owner, &manifest.locations),
            gathering: Gathering::default(),
        }
    }

    /// How many messages were signed.
    async fn run(mut self, title: &Title, gap: Range<ObjectId>) -> Result<u64, CompactError> {
        let (deliveries, end) = self.deliveries(&gap).await?;
        let writer = SignWriter::create(self.site.disk, self.site.owner, title.number).await;
        let mut writer = writer.map_err(unwritten)?;
        let signed = match self.sign(deliveries, &mut writer).await {
            Ok(signed) => signed,
            Err(error) => {
                writer.abandon().await;
                return Err(error);
            }
        };
        let written = writer.finish(self.site.owner, title, gap.start..end).await;
        verify(self.site, &written.map_err(unwritten)?).await?;
        Ok(signed)
    }

    /// Where the first deliveries of a gap lie, as many as one task signs, and the end of what was
    /// looked at.
    async fn deliveries(
        &self,
        gap: &Range<ObjectId>,
    ) -> Result<(Vec<Place>, ObjectId), CompactError> {
        let (mut found, mut end) = self.first_deliveries(gap).await?;
        let most = self.fitting(&found).await?;
        if let Some((object, _)) = found.get(most) {
            end = *object;
            found.truncate(most);
        }
        Ok((found.into_iter().map(|(_, place)| place).collect(), end))
    }

    async fn first_deliveries(
        &self,
        gap: &Range<ObjectId>,
    ) -> Result<(Vec<(ObjectId, Place)>, ObjectId), CompactError> {
        let mut found = Vec::new();
        let (first, last) = (seat_of(gap.start).0, seat_of(gap.end).0);
        let chunks = self.manifest.locations.iter();
        for chunk in chunks.filter(|name| (first..=last).contains(&u64::from(name.chunk))) {
            let mut reader = self.locations.reader(chunk).await?;
            while let Some(page) = reader.next().await {
                // What a damaged page has stays a candidate.
                let Ok(page) = page else { continue };
                for (location, at) in page.entries.iter().zip(page.first.0..) {
                    let is_new = gap.contains(&ObjectId(at));
                    let Some(location) = location.filter(|_| is_new) else {
                        continue;
                    };
                    if location.kind == Kind::Deliver {
                        found.push((ObjectId(at), location.place));
                    }
                    if found.len() == self.most() {
                        return Ok((found, ObjectId(at + 1)));
                    }
                }
            }
        }
        Ok((found, gap.end))
    }

    /// Deliveries that one task looks at.
    fn most(&self) -> usize {
        match self.signing.reader.0.version().helpers {
            0 => STEP_MESSAGES,
            _ => STEP_MESSAGES_HELPED,
        }
    }

    /// How many of these one task signs, by the sizes of a few of them.
    async fn fitting(&self, found: &[(ObjectId, Place)]) -> Result<usize, CompactError> {
        let mut source = Source::new(self.site);
        let (mut octets, mut asked) = (0, 0);
        for (_, place) in found.iter().step_by(found.len().div_ceil(SAMPLES).max(1)) {
            let read = octets_at(self.site, &mut source, *place).await?;
            octets += read.unwrap_or(0);
            asked += 1;
        }
        let fitting = STEP_BYTES * asked / octets.max(1);
        let fitting = usize::try_from(fitting).unwrap_or(usize::MAX);
        Ok(fitting.max(STEP_MESSAGES_LEAST))
    }

    /// How many were signed.
    async fn sign(
        &mut self,
        mut places: Vec<Place>,
        writer: &mut SignWriter<D>,
    ) -> Result<u64, CompactError> {
        places.sort_unstable();
        let site = Site {
            disk: &Ahead::new(self.site.disk.clone()),
            owner: self.site.owner,
        };
        let texts = &*self.signing.reader.0;
        let mut passing = Passing::new(&site, self.pace, places.len() as u64);
        let mut signed = 0;
        for place in places {
            if self.gathering.is_full() {
                writer.block(&mut self.gathering).await.map_err(unwritten)?;
            }
            if let Some(letter) = passing.letter(&self.locations, place).await? {
                let is_signed = passing.sign(texts, &letter, &mut self.gathering).await?;
                signed += u64::from(is_signed);
            }
        }
        writer.block(&mut self.gathering).await.map_err(unwritten)?;
        Ok(signed)
    }
}

/// Deliveries that one task signs at most, and octets, about: half a second of work.
const STEP_MESSAGES: usize = 8192;
const STEP_BYTES: u64 = 64 << 20;

/// The same where programs read attachments, which takes them some 50 ms each.
const STEP_MESSAGES_HELPED: usize = 64;

/// However large they seem to be: so many are signed.
const STEP_MESSAGES_LEAST: usize = 4;

/// Deliveries that are asked for their size.
const SAMPLES: usize = 32;
