//! Answers on standard output, and nothing but answers.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::io::{self, Write};

/// The meaning of `--format`.
pub fn wants_json(format: &str) -> Result<bool> {
    match format {
        "table" | "" => Ok(false),
        "json" => Ok(true),
        // runc's test suite looks for these words.
        _ => bail!("invalid format option {format:?}; table and json are known"),
    }
}

/// Writes `text` as it is.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("write to standard output")
}

/// Writes `value` as one line of JSON.
pub fn print_json(value: &impl Serialize) -> Result<()> {
    print(&(serde_json::to_string(value)? + "\n"))
}

/// Writes `value` as JSON with two spaces per level and no newline at the end, as runc's `state` does.
pub fn print_pretty_json(value: &impl Serialize) -> Result<()> {
    print(&serde_json::to_string_pretty(value)?)
}

/// Columns at least 12 wide with three spaces between them, as runc's tables are.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let longest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        (longest + 3).max(12)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let last = row.len().saturating_sub(1);
        for (column, cell) in row.iter().enumerate() {
            match column == last {
                true => text.push_str(cell),
                false => text.push_str(&format!("{cell:<width$}", width = widths[column])),
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_line_up() {
        let row = |cells: &[&str]| cells.iter().map(|cell| cell.to_string()).collect::<Vec<_>>();
        let text = table(&[row(&["ID", "PID", "OWNER"]), row(&["a-long-name-here", "1", "root"])]);
        assert_eq!(
            text,
            "ID                 PID         OWNER\n\
             a-long-name-here   1           root\n"
        );
    }
}
