//! Files that only their user can read: the database, its mark, the key file, their folder.
//!
//! They are made with their mode, so that nobody can open one a moment before it is set, and it is
//! set once more, because the process's own mask may have taken too much of it. SQLite gives its
//! write-ahead log and its index of that the mode of the database.

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
/// Whatever others than the user may do.
const GROUP_AND_OTHERS: u32 = 0o077;

/// Opens a file for reading and writing; makes it, for its user only, if it is not there.
pub(in crate::store) fn open_private(path: &Path) -> io::Result<File> {
    match create_private(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            OpenOptions::new().read(true).write(true).open(path)
        }
        made => made,
    }
}

/// Makes a file that must not be there yet, for its user only.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).mode(FILE_MODE).open(path)?;
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    Ok(file)
}

/// A file without a name yet in the folder of `path`, for its user only.
pub(in crate::store) fn private_file_in(path: &Path) -> io::Result<NamedTempFile> {
    let mut made = tempfile::Builder::new();
    let made = made.permissions(Permissions::from_mode(FILE_MODE)).tempfile_in(folder_of(path))?;
    made.as_file().set_permissions(Permissions::from_mode(FILE_MODE))?;
    Ok(made)
}

/// Brings the names in the folder of `path` to the disk.
pub(in crate::store) fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Makes a folder, and those above it that are missing, for its user only.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))
}

/// A file or a folder that others than its user can get at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExposedPath {
    pub path: PathBuf,
    pub mode: u32,
    /// What it should be.
    pub wanted: u32,
}

/// Those of `paths` that are there and that others than their user can get at.
pub fn exposed_paths(paths: impl IntoIterator<Item = PathBuf>) -> Vec<ExposedPath> {
    let check = |path: PathBuf| {
        let about = fs::metadata(&path).ok()?;
        let mode = about.mode() & 0o777;
        let wanted = if about.is_dir() { FOLDER_MODE } else { FILE_MODE };
        (mode & GROUP_AND_OTHERS != 0).then_some(ExposedPath { path, mode, wanted })
    };
    paths.into_iter().filter_map(check).collect()
}

/// The files that belong to the SQLite database in `file`.
pub fn database_files(file: &Path) -> Vec<PathBuf> {
    ["", "-wal", "-shm", ".mark"].map(|ending| with_suffix(file, ending)).into()
}

/// `file` with `ending` behind its name.
pub(in crate::store) fn with_suffix(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
