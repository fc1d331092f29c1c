//! What the program promises to whoever calls it: exit codes, clear words, and nothing half-done,
//! whatever it is given and however it ends.

mod arguments;
mod concurrent;
mod disk;
mod faults;
mod hostile;
mod killed;
mod state;
mod usage;
mod verify;
