//! Checking of checkpoints: that table files are what RocksDB wrote.
//!
//! A file whose bytes the disk has changed is copied like any other, and its copy has a digest that
//! fits. Only the checksums within it tell, and only to whoever reads it all.

use crate::error::Error;
use crate::tables::Table;
use rocksdb::{DB, Direction, IteratorMode, Options, ReadOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Reads all that table files of these names hold in a checkpoint, with its checksums.
///
/// # Errors
/// [`Error::Store`] if a file is damaged, or the checkpoint cannot be read.
pub fn check_files(directory: &Path, names: &BTreeSet<String>) -> Result<(), Error> {
    let name = directory.display().to_string();
    let failed = |error| Error::Store { directory: name.clone(), error };
    let families = Table::ALL.map(Table::name);
    let mut options = Options::default();
    options.set_keep_log_file_num(1);
    let db = DB::open_cf_for_read_only(&options, directory, families, false).map_err(failed)?;
    // Files of a table may lie across each other, so that reading one is reading all. Each
    // stretch is read once.
    let mut stretches: BTreeMap<String, (Vec<u8>, Vec<u8>)> = BTreeMap::new();
    for file in db.live_files().map_err(failed)? {
        if !names.contains(file.name.trim_start_matches('/')) {
            continue;
        }
        let (Some(start), Some(end)) = (file.start_key, file.end_key) else { continue };
        match stretches.get_mut(&file.column_family_name) {
            Some((first, last)) => {
                *first = start.min(std::mem::take(first));
                *last = end.max(std::mem::take(last));
            }
            None => _ = stretches.insert(file.column_family_name, (start, end)),
        }
    }
    for (family, (first, last)) in stretches {
        let missing = Error::Damaged { what: "list of tables" };
        let family = db.cf_handle(&family).ok_or(missing)?;
        let mut options = ReadOptions::default();
        options.set_verify_checksums(true);
        options.fill_cache(false);
        let mode = IteratorMode::From(&first, Direction::Forward);
        for entry in db.iterator_cf_opt(family, options, mode) {
            let (key, _) = entry.map_err(failed)?;
            if *key > *last {
                break;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Delta, Layout, Seeds, Store, StoreMemory};

    #[test]
    fn a_flipped_bit_is_found_in_the_files_that_are_asked_about() {
        let place = tempfile::tempdir().unwrap();
        let seeds = Seeds { identity: [1; 16], content: 2 };
        let layout = Layout { partitions: 1, is_replica: true };
        let path = place.path().join("store");
        let store = Store::open(&path, seeds, layout, &StoreMemory::default()).unwrap();
        let mut delta = Delta::default();
        for number in 0..20_000u32 {
            delta.put(Table::Totals, &number.to_be_bytes(), &[7; 40]);
        }
        store.write(&[&delta]).unwrap();
        let checkpoint = place.path().join("checkpoint");
        store.checkpoint(&checkpoint).unwrap();
        let entries = checkpoint.read_dir().unwrap().map(|entry| entry.unwrap());
        let files: Vec<_> = entries
            .filter(|entry| entry.path().extension().is_some_and(|end| end == "sst"))
            .collect();
        let largest = files.iter().max_by_key(|file| file.metadata().unwrap().len()).unwrap();
        let names = |of: &[&std::fs::DirEntry]| {
            of.iter().map(|file| file.file_name().into_string().unwrap()).collect()
        };
        let all: BTreeSet<String> = names(&files.iter().collect::<Vec<_>>());
        check_files(&checkpoint, &all).unwrap();
        let mut bytes = std::fs::read(largest.path()).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        // The store has the same file, which is not to change.
        std::fs::remove_file(largest.path()).unwrap();
        std::fs::write(largest.path(), bytes).unwrap();
        let damaged = check_files(&checkpoint, &names(&[largest])).unwrap_err();
        assert!(damaged.is_damage(), "{damaged}");
        let others = all.difference(&names(&[largest])).cloned().collect();
        check_files(&checkpoint, &others).unwrap();
    }
}
