//! placeholder
pub(crate) fn apply(
    _: &oci_spec::runtime::LinuxIntelRdt,
    _: &str,
    _: i32,
) -> crate::Result<Option<std::path::PathBuf>> {
    Ok(None)
}
pub(crate) fn remove(_: &std::path::Path) -> crate::Result<()> {
    Ok(())
}
