//! The bucket: where snapshots are kept, a directory or an object store.
//!
//! Whoever calls waits on a thread of its own; what the object store does meanwhile is done by the
//! service's runtime.

use super::error::SnapshotError;
use super::limits::{LISTED_MAX, PART_BYTES, PARTS_MAX, UPLOADS_MAX};
use crate::failure::Failure;
use futures_util::TryStreamExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{
    ClientOptions, Error as StoreError, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions,
    PutPayload, RetryConfig, WriteMultipart,
};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How long a connection may take, and how long it may say nothing.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a request is tried again.
const RETRIES: Duration = Duration::from_secs(10);

/// Where snapshots are kept, or a folder of it.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    store: Arc<dyn ObjectStore>,
    /// The same, where it is a directory.
    local: Option<Arc<LocalFileSystem>>,
    root: ObjectPath,
    runtime: Handle,
    uploads: Arc<Semaphore>,
}

/// An object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its name within its folder.
    pub(super) name: String,
    pub(super) bytes: u64,
    /// When it was written, in seconds since 1970.
    pub(super) written_at: i64,
}

/// Is told of bytes that have been sent or received; `false` asks to end.
pub(crate) type Told<'a> = dyn FnMut(u64) -> bool + 'a;

impl Bucket {
    /// A directory, made if it is not there.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be made.
    pub(crate) fn directory(directory: &Path, runtime: Handle) -> Result<Self, Failure> {
        std::fs::create_dir_all(directory)
            .map_err(|error| Failure::io("make the directory", directory, &error))?;
        let store = LocalFileSystem::new_with_prefix(directory)
            .map_err(|error| Failure::Dependency(format!("snapshots: {error}")))?
            // A snapshot that the log was trimmed for must survive a power failure.
            .with_fsync(true);
        let store = Arc::new(store);
        let local = Some(Arc::clone(&store));
        Ok(Self { local, ..Self::of(store, ObjectPath::default(), runtime) })
    }

    /// What `s3://BUCKET/FOLDER` names. Credentials, region and endpoint come from `environment`,
    /// as other tools have them: `AWS_ACCESS_KEY_ID` and so on.
    ///
    /// # Errors
    /// [`Failure`] if the address or the environment make no sense.
    pub(crate) fn s3(
        url: &str,
        environment: impl Iterator<Item = (String, String)>,
        runtime: Handle,
    ) -> Result<Self, Failure> {
        let odd = |error: String| Failure::Input(vec![format!("snapshots.url: {error}")]);
        let folder = url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        let folder = folder.map_or("", |(_, folder)| folder.trim_matches('/'));
        let root = ObjectPath::parse(folder).map_err(|error| odd(error.to_string()))?;
        // A large object may take long, as long as it comes.
        let options = ClientOptions::new()
            .with_timeout_disabled()
            .with_connect_timeout(SILENCE)
            .with_read_timeout(SILENCE);
        let retries = RetryConfig { retry_timeout: RETRIES, ..RetryConfig::default() };
        let mut builder =
            AmazonS3Builder::new().with_url(url).with_client_options(options).with_retry(retries);
        for (key, value) in environment.filter(|(key, _)| key.starts_with("AWS_")) {
            // There are settings of other tools, too.
            if let Ok(key) = key.to_ascii_lowercase().parse() {
                builder = builder.with_config(key, value);
            }
        }
        let store = builder.build().map_err(|error| odd(error.to_string()))?;
        Ok(Self::of(Arc::new(store), root, runtime))
    }

    fn of(store: Arc<dyn ObjectStore>, root: ObjectPath, runtime: Handle) -> Self {
        Self { store, local: None, root, runtime, uploads: Arc::new(Semaphore::new(UPLOADS_MAX)) }
    }

    /// A folder of it.
    pub(crate) fn folder(&self, name: &str) -> Self {
        Self { root: self.root.clone().join(name), ..self.clone() }
    }

    /// Waits for a turn to upload.
    pub(super) fn turn(&self) -> Result<SemaphorePermit<'_>, SnapshotError> {
        self.runtime.block_on(self.uploads.acquire()).map_err(|_| SnapshotError::GivenUp)
    }

    /// All objects of this folder.
    pub(super) fn list(&self) -> Result<Vec<Listed>, SnapshotError> {
        self.runtime.block_on(async {
            let mut listed = Vec::new();
            let mut found = self.store.list(Some(&self.root));
            while let Some(object) = found.try_next().await? {
                if let Some(name) = object.location.filename() {
                    let (bytes, written_at) = (object.size, object.last_modified.timestamp());
                    listed.push(Listed { name: name.to_owned(), bytes, written_at });
                }
                if listed.len() > LISTED_MAX {
                    let reason = format!("{} holds more than {LISTED_MAX} objects", self.root);
                    return Err(SnapshotError::Unavailable(reason));
                }
            }
            Ok(listed)
        })
    }

    /// Removes what uploads that were killed have left of objects, where `is_over` says so of the
    /// object's name and of when it was written last, in seconds since 1970; how many there were.
    ///
    /// A directory keeps an object under `NAME#NUMBER` until it is whole, and lists it never. Parts
    /// in an object store cannot be listed by this way; its own rules remove them.
    pub(super) fn remove_unfinished(
        &self,
        is_over: impl Fn(&str, i64) -> bool,
    ) -> Result<usize, SnapshotError> {
        let Some(local) = &self.local else { return Ok(0) };
        let directory = local.path_to_filesystem(&self.root)?;
        let disk = |error: std::io::Error| SnapshotError::disk("read", &directory, &error);
        let entries = match directory.read_dir() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            entries => entries.map_err(disk)?,
        };
        let mut removed = 0;
        for entry in entries.take(LISTED_MAX) {
            let entry = entry.map_err(disk)?;
            let name = entry.file_name();
            let object = name.to_str().and_then(|name| name.split_once('#'));
            let object = object.filter(|(_, number)| number.parse::<u64>().is_ok());
            let Some((object, _)) = object else { continue };
            // It may have become whole meanwhile.
            let Ok(written_at) = entry.metadata().map(|metadata| metadata.mtime()) else {
                continue;
            };
            if is_over(object, written_at) {
                let removing = std::fs::remove_file(entry.path());
                removing.map_err(|error| SnapshotError::disk("remove", &entry.path(), &error))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// The bytes of a small object.
    pub(super) fn read(&self, name: &str, bytes_max: usize) -> Result<Vec<u8>, SnapshotError> {
        let path = self.root.clone().join(name);
        self.runtime.block_on(async {
            let found = self.store.get(&path).await?;
            if found.meta.size > bytes_max as u64 {
                return Err(SnapshotError::Damaged(format!("{path} is too large")));
            }
            Ok(found.bytes().await?.to_vec())
        })
    }

    /// Writes a small object unless one of its name is there; whether it was not.
    pub(super) fn create(&self, name: &str, bytes: Vec<u8>) -> Result<bool, SnapshotError> {
        let path = self.root.clone().join(name);
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let put = self.store.put_opts(&path, PutPayload::from(bytes), options);
        match self.runtime.block_on(put) {
            Ok(_) => Ok(true),
            Err(StoreError::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a file as an object, whose bytes must have this digest.
    pub(super) fn upload(
        &self,
        name: &str,
        (file, sha256): (&Path, &str),
        told: &mut Told<'_>,
    ) -> Result<(), SnapshotError> {
        let path = self.root.clone().join(name);
        let mut reader = FileParts::open(file)?;
        let first = reader.next()?;
        let changed = || SnapshotError::Damaged(format!("{} has changed", file.display()));
        self.runtime.block_on(async {
            if first.len() < PART_BYTES {
                let bytes = first.len() as u64;
                if reader.digest() != sha256 {
                    return Err(changed());
                }
                self.store.put(&path, PutPayload::from(first)).await?;
                return if told(bytes) { Ok(()) } else { Err(SnapshotError::GivenUp) };
            }
            let upload = self.store.put_multipart(&path).await?;
            let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
            let mut part = first;
            let sent = loop {
                let bytes = part.len() as u64;
                upload.put(part.into());
                if let Err(error) = upload.wait_for_capacity(PARTS_MAX).await {
                    break Err(error.into());
                }
                if !told(bytes) {
                    break Err(SnapshotError::GivenUp);
                }
                match reader.next() {
                    Err(error) => break Err(error),
                    Ok(next) if next.is_empty() => break Ok(()),
                    Ok(next) => part = next,
                }
            };
            let sent =
                sent.and_then(|()| if reader.digest() == sha256 { Ok(()) } else { Err(changed()) });
            if let Err(error) = sent {
                // Nobody refers to what cannot be taken back.
                _ = upload.abort().await;
                return Err(error);
            }
            upload.finish().await?;
            Ok(())
        })
    }

    /// Writes an object to a new file, and checks its size and digest.
    pub(super) fn download(
        &self,
        name: &str,
        file: &Path,
        (bytes, sha256): (u64, &str),
        told: &mut Told<'_>,
    ) -> Result<(), SnapshotError> {
        let path = self.root.clone().join(name);
        let disk = |error: std::io::Error| SnapshotError::disk("write", file, &error);
        let mut out = File::create_new(file).map_err(disk)?;
        let mut hasher = Sha256::new();
        let mut received = 0u64;
        self.runtime.block_on(async {
            let mut parts = self.store.get(&path).await?.into_stream();
            while let Some(part) = parts.try_next().await? {
                received += part.len() as u64;
                hasher.update(&part);
                out.write_all(&part).map_err(disk)?;
                if !told(part.len() as u64) {
                    return Err(SnapshotError::GivenUp);
                }
            }
            Ok(())
        })?;
        out.sync_all().map_err(disk)?;
        if received != bytes || hex(&hasher.finalize()) != sha256 {
            let reason = format!("{path} is damaged: its bytes are not those that were written");
            return Err(SnapshotError::Damaged(reason));
        }
        Ok(())
    }

    /// Removes an object; it may be gone already.
    pub(super) fn delete(&self, name: &str) -> Result<(), SnapshotError> {
        let path = self.root.clone().join(name);
        match self.runtime.block_on(self.store.delete(&path)) {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl std::fmt::Display for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.store, self.root)
    }
}

/// The digest of a file.
pub(super) fn sha256_of(file: &Path, told: &mut Told<'_>) -> Result<String, SnapshotError> {
    let mut reader = FileParts::open(file)?;
    loop {
        let part = reader.next()?;
        if part.is_empty() {
            return Ok(reader.digest());
        }
        // Nothing has been sent, but whoever listens may want it to end.
        if !told(0) {
            return Err(SnapshotError::GivenUp);
        }
    }
}

/// A file in parts of [`PART_BYTES`], and the digest of what was read.
struct FileParts<'a> {
    path: &'a Path,
    file: File,
    hasher: Sha256,
}

impl<'a> FileParts<'a> {
    fn open(path: &'a Path) -> Result<Self, SnapshotError> {
        let file = File::open(path).map_err(|error| SnapshotError::disk("read", path, &error))?;
        Ok(Self { path, file, hasher: Sha256::new() })
    }

    /// The next part; it is shorter only at the end.
    fn next(&mut self) -> Result<Vec<u8>, SnapshotError> {
        let mut part = Vec::new();
        let mut limited = (&mut self.file).take(PART_BYTES as u64);
        limited
            .read_to_end(&mut part)
            .map_err(|error| SnapshotError::disk("read", self.path, &error))?;
        self.hasher.update(&part);
        Ok(part)
    }

    fn digest(&self) -> String {
        hex(&self.hasher.clone().finalize())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
