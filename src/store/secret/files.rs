//! Files that only their owner can read and write: the database, its mark, the key file and their
//! folders.
//!
//! Each is created with its mode, so that there is no moment in which another user can open it, and
//! the mode is set again, because the process's umask may have removed bits that the owner needs.
//! SQLite gives its write-ahead log and shared-memory file the mode of the database.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::{fs, io};

use tempfile::NamedTempFile;

const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// Every permission bit of the group and of others.
const GROUP_AND_OTHERS: u32 = 0o077;

/// Opens a file for reading and writing; creates it with mode 0600 if it is missing.
pub(in crate::store) fn open_private(path: &Path) -> io::Result<File> {
    match create_private(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            OpenOptions::new().read(true).write(true).open(path)
        }
        made => made,
    }
}

/// Creates a file with mode 0600; fails if it exists.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).mode(FILE_MODE).open(path)?;
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    Ok(file)
}

/// A temporary file with mode 0600 in the folder of `path`.
pub(in crate::store) fn private_file_in(path: &Path) -> io::Result<NamedTempFile> {
    let mut made = tempfile::Builder::new();
    let made = made.permissions(Permissions::from_mode(FILE_MODE)).tempfile_in(folder_of(path))?;
    made.as_file().set_permissions(Permissions::from_mode(FILE_MODE))?;
    Ok(made)
}

/// Flushes the folder of `path` to the disk, so that created and renamed files survive a crash.
pub(in crate::store) fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Creates a folder and its missing parents with mode 0700. An existing folder is left unchanged.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))
}

/// A file or a folder that its group or others can access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExposedPath {
    pub path: PathBuf,
    pub mode: u32,
    /// The mode that it should have.
    pub wanted: u32,
}

/// Those of `paths` that exist and that their group or others can access.
pub fn exposed_paths(paths: impl IntoIterator<Item = PathBuf>) -> Vec<ExposedPath> {
    let check = |path: PathBuf| {
        let about = fs::metadata(&path).ok()?;
        let mode = about.mode() & 0o777;
        let wanted = if about.is_dir() { FOLDER_MODE } else { FILE_MODE };
        (mode & GROUP_AND_OTHERS != 0).then_some(ExposedPath { path, mode, wanted })
    };
    paths.into_iter().filter_map(check).collect()
}

/// The paths of the SQLite database `file`, its write-ahead log, its shared-memory file and its
/// mark, whether or not they exist.
pub fn database_files(file: &Path) -> Vec<PathBuf> {
    ["", "-wal", "-shm", ".mark"].map(|ending| with_suffix(file, ending)).into()
}

/// `file` with `ending` appended to its name.
pub(in crate::store) fn with_suffix(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
