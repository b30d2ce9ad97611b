//! What `.gitattributes` say, and where gix does not do as they say.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use gix::ObjectId;
use gix::attrs::StateRef;
use gix::bstr::{BStr, BString, ByteSlice as _};
use gix::filter::plumbing::driver::apply::Delay;
use gix::filter::plumbing::pipeline::convert::to_worktree;
use gix::filter::plumbing::worktree::encoding::for_label;
use gix::index::entry::{Flags, Mode};
use gix::index::{Entry, State};
use gix::worktree::stack::state::attributes::Source;

use super::place;

/// Whether any attributes, those of the repository or those of all repositories here, contain one of
/// these texts. To be asked before attributes are looked up for each file, which takes its time.
pub fn mention(repo: &gix::Repository, index: &State, texts: &[&str]) -> gix::Result<bool> {
    let contains = |content: &[u8]| texts.iter().any(|text| content.contains_str(text));
    let mut files = repo.attribute_global_paths()?;
    files.push(repo.common_dir().join("info/attributes"));
    let mut contents = files.iter().filter_map(|file| fs::read(file).ok());
    if contents.any(|content| contains(&content)) {
        return Ok(true);
    }
    for entry in index.entries() {
        let is_attributes = entry
            .path(index)
            .strip_suffix(b".gitattributes")
            .is_some_and(|directory| directory.is_empty() || directory.ends_with(b"/"));
        if is_attributes && is_file(entry) && contains(&repo.find_object(entry.id)?.data) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The values of these attributes at a file's path; that of one that is only set is empty.
pub fn values<const N: usize>(
    stack: &mut gix::AttributeStack<'_>,
    path: &BStr,
    names: [&str; N],
) -> gix::Result<[Option<BString>; N]> {
    let mut matches = stack.selected_attribute_matches(names);
    let at = stack
        .at_entry(path, Some(Mode::FILE))
        .map_err(gix::Error::from_error)?;
    at.matching_attributes(&mut matches);
    let mut selected = matches.iter_selected();
    Ok(names.map(|_| match selected.next()?.assignment.state {
        StateRef::Value(value) => Some(value.as_bstr().to_owned()),
        StateRef::Set => Some(BString::default()),
        StateRef::Unset | StateRef::Unspecified => None,
    }))
}

/// The entries whose files gix cannot read, as it does not know their encoding.
pub fn unreadable(repo: &gix::Repository, index: &State) -> gix::Result<Vec<usize>> {
    if !mention(repo, index, &["working-tree-encoding"])? {
        return Ok(Vec::new());
    }
    let mut stack = repo.attributes_only(index, Source::WorktreeThenIdMapping)?;
    let mut found = Vec::new();
    for (at, entry) in index.entries().iter().enumerate() {
        if is_file(entry) && !entry.flags.contains(Flags::SKIP_WORKTREE) {
            let names = ["working-tree-encoding"];
            let [encoding] = values(&mut stack, entry.path(index), names)?;
            if encoding.is_some_and(|name| for_label(name.as_bstr()).is_err()) {
                found.push(at);
            }
        }
    }
    Ok(found)
}

/// Finishes the files that gix has written below `tree` as git would have: it lacks the blank at the
/// end of `$Id$`, and leaves UTF-8 where UTF-16 and UTF-32 are asked for.
pub fn finish(
    repo: &gix::Repository,
    index: &State,
    written: &[usize],
    tree: &Path,
) -> gix::Result<()> {
    if !mention(repo, index, &["ident", "working-tree-encoding"])? {
        return Ok(());
    }
    let mut stack = repo.attributes_only(index, Source::IdMapping)?;
    for entry in written.iter().map(|at| &index.entries()[*at]) {
        if is_file(entry) {
            let path = entry.path(index);
            let wanted = values(&mut stack, path, FINISHED)?;
            let file = place::below(tree, path);
            finish_file(&file, entry.id, &wanted).map_err(gix::Error::from_error)?;
        }
    }
    Ok(())
}

/// The attributes that [`finished`] looks at.
const FINISHED: [&str; 2] = ["ident", "working-tree-encoding"];

fn finish_file(file: &Path, id: ObjectId, wanted: &[Option<BString>; 2]) -> io::Result<()> {
    if wanted.iter().any(Option::is_some) {
        fs::write(file, finished(fs::read(file)?, id, wanted))?;
    }
    Ok(())
}

fn finished(content: Vec<u8>, id: ObjectId, wanted: &[Option<BString>; 2]) -> Vec<u8> {
    let [ident, encoding] = wanted;
    let mut content = content;
    if ident.is_some() {
        content = content.replace(format!("$Id: {id}$"), format!("$Id: {id} $"));
    }
    let encoder = encoding.as_ref().and_then(|name| wide_encoder(name));
    match (encoder, content.to_str()) {
        (Some(encode), Ok(text)) => encode(text),
        _ => content,
    }
}

fn is_file(entry: &Entry) -> bool {
    matches!(entry.mode, Mode::FILE | Mode::FILE_EXECUTABLE)
}

/// Files as git writes them for an index, by its own attributes and not by those in the work tree.
pub struct Written<'repo> {
    repo: &'repo gix::Repository,
    pipeline: gix::filter::Pipeline<'repo>,
    stack: gix::AttributeStack<'repo>,
}

impl<'repo> Written<'repo> {
    pub fn new(repo: &'repo gix::Repository, index: &State) -> gix::Result<Written<'repo>> {
        let stack = || repo.attributes_only(index, Source::IdMapping);
        Ok(Written {
            repo,
            pipeline: gix::filter::Pipeline::new(repo, stack()?.detach())?,
            stack: stack()?,
        })
    }

    /// Whether the file of an entry, which is at `path`, stands in the work tree at `root` as git
    /// writes it.
    pub fn is_at(&mut self, root: &Path, path: &BStr, entry: &Entry) -> gix::Result<bool> {
        let file = place::below(root, path);
        let Ok(meta) = file.symlink_metadata() else {
            return Ok(false);
        };
        let is_executable = meta.mode() & 0o100 != 0;
        if !meta.is_file() || !is_file(entry) {
            return Ok(false);
        }
        if is_executable != (entry.mode == Mode::FILE_EXECUTABLE) {
            return Ok(false);
        }
        let blob = self.repo.find_object(entry.id)?;
        let options = to_worktree::Options {
            can_delay: Delay::Forbid,
            unknown_encoding: to_worktree::UnknownEncoding::Ignore,
        };
        let mut content = Vec::new();
        self.pipeline
            .convert_to_worktree(&blob.data, path, options)?
            .read_to_end(&mut content)
            .map_err(gix::Error::from_error)?;
        let wanted = values(&mut self.stack, path, FINISHED)?;
        let content = finished(content, entry.id, &wanted);
        Ok(fs::read(&file).map_err(gix::Error::from_error)? == content)
    }
}

/// An encoder for the encodings of more than a byte that gix does not write, with a byte order mark
/// where iconv writes one.
fn wide_encoder(name: &[u8]) -> Option<fn(&str) -> Vec<u8>> {
    const MARK: &str = "\u{feff}";
    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }
    fn utf32(text: &str, bytes: fn(u32) -> [u8; 4]) -> Vec<u8> {
        text.chars().map(u32::from).flat_map(bytes).collect()
    }
    Some(match name.to_ascii_uppercase().as_slice() {
        b"UTF-16LE" => |text| utf16(text, u16::to_le_bytes),
        b"UTF-16BE" => |text| utf16(text, u16::to_be_bytes),
        b"UTF-16" | b"UTF-16LE-BOM" => |text| utf16(&(MARK.to_owned() + text), u16::to_le_bytes),
        b"UTF-16BE-BOM" => |text| utf16(&(MARK.to_owned() + text), u16::to_be_bytes),
        b"UTF-32LE" => |text| utf32(text, u32::to_le_bytes),
        b"UTF-32BE" => |text| utf32(text, u32::to_be_bytes),
        b"UTF-32" => |text| utf32(&(MARK.to_owned() + text), u32::to_le_bytes),
        _ => return None,
    })
}
