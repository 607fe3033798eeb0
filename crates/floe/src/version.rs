//! What `--version` prints. Docker reads the lines `NAME version X` and `commit: X`.

pub const VERSION: &str = env!("CARGO_PKG_VERSION");
pub const COMMIT: &str = env!("FLOE_COMMIT");
/// The newest runtime-spec that is implemented.
pub const SPEC: &str = "1.3.0";

pub fn text() -> String {
    format!("floe version {VERSION}\ncommit: {COMMIT}\nspec: {SPEC}\nlibseccomp: {}\n", libseccomp())
}

pub fn libseccomp() -> String {
    match libseccomp::ScmpVersion::current() {
        Ok(version) => version.to_string(),
        Err(_) => "unknown".to_owned(),
    }
}
