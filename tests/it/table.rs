//! Tables as a person writes them: what scenarios and billing examples are made of.
//!
//! A table is a header and its rows, up to the next empty line. Two or more spaces separate cells,
//! so a cell may hold single ones; `-` is a cell without content. A line that begins with one of
//! the known statements stands for itself, and one that begins with `#` is for the reader.

/// One part of a text.
#[derive(Debug)]
pub(crate) enum Block {
    Table(Table),
    Statement { name: String, argument: String },
}

/// A header and its rows; its name is that of its first column.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) rows: Vec<Row>,
}

/// The cells of one line, by column.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// From 1.
    pub(crate) line: usize,
    cells: Vec<(String, String)>,
}

impl Row {
    /// The content of a cell; `None` where the column or the content is missing.
    pub(crate) fn get(&self, column: &str) -> Option<&str> {
        self.cells().find(|(name, _)| *name == column).map(|(_, cell)| cell)
    }

    pub(crate) fn need(&self, column: &str) -> &str {
        self.get(column).unwrap_or_else(|| panic!("line {}: no {column}", self.line))
    }

    /// Columns and cells, `-` for those without content.
    pub(crate) fn all_cells(&self) -> impl Iterator<Item = (&str, &str)> {
        self.cells.iter().map(|(name, cell)| (name.as_str(), cell.as_str()))
    }

    /// Columns and contents, those without content left out.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all_cells().filter(|(_, cell)| *cell != "-")
    }

    /// An object of the cells for which `member` gives a name.
    pub(crate) fn object(&self, member: impl Fn(&str) -> Option<&str>) -> String {
        let members = self.cells().filter_map(|(column, cell)| {
            member(column).map(|name| format!("\"{name}\":{}", value(column, cell)))
        });
        members.collect::<Vec<_>>().join(",")
    }
}

/// Columns whose digits are a JSON number; all others hold decimals, which are texts.
const NUMBERS: [&str; 4] = ["version", "bill_cycle_day", "bill_cycle_month", "payment_term_days"];

/// A cell as JSON: what looks like JSON is taken as it stands, everything else is a text.
pub(crate) fn value(column: &str, cell: &str) -> String {
    let is_number = NUMBERS.contains(&column) && cell.bytes().all(|byte| byte.is_ascii_digit());
    let is_json =
        cell.starts_with(['{', '[', '"']) || ["true", "false", "null"].contains(&cell) || is_number;
    if is_json { cell.to_owned() } else { serde_json::to_string(cell).unwrap() }
}

/// Cuts a text into its tables and statements.
pub(crate) fn blocks(text: &str, statements: &[&str]) -> Vec<Block> {
    let mut found = Vec::new();
    let mut columns: Option<Vec<String>> = None;
    for (index, content) in text.lines().enumerate() {
        let line = index + 1;
        let content = content.trim();
        let (word, rest) = content.split_once(char::is_whitespace).unwrap_or((content, ""));
        if content.is_empty() {
            columns = None;
        } else if content.starts_with('#') {
        } else if columns.is_none() && statements.contains(&word) {
            let (name, argument) = (word.to_owned(), rest.trim().to_owned());
            found.push(Block::Statement { name, argument });
        } else if let Some(columns) = &columns {
            let cells = cells(content);
            assert_eq!(cells.len(), columns.len(), "line {line}: cells {cells:?} of {columns:?}");
            let row = Row { line, cells: columns.iter().cloned().zip(cells).collect() };
            let Some(Block::Table(table)) = found.last_mut() else { unreachable!() };
            table.rows.push(row);
        } else {
            let header = cells(content);
            found.push(Block::Table(Table { name: header[0].clone(), rows: Vec::new() }));
            columns = Some(header);
        }
    }
    found
}

fn cells(line: &str) -> Vec<String> {
    let parts = line.split("  ").map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// Rows of cells in columns, as they would stand in a file.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}  "));
        padded.collect::<String>().trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[test]
fn tables_hold_what_stands_in_them() {
    let text =
        "# for the reader\nclose now\n\nusage  at the time  verdict\na      b c          -\n";
    let found = blocks(text, &["close"]);
    let [Block::Statement { argument, .. }, Block::Table(table)] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!((argument.as_str(), table.name.as_str(), table.rows.len()), ("now", "usage", 1));
    let row = &table.rows[0];
    assert_eq!((row.line, row.get("at the time"), row.get("verdict")), (5, Some("b c"), None));
    let object = row.object(|column| (column == "usage").then_some("id"));
    assert_eq!(object, r#""id":"a""#);
    assert_eq!((value("version", "2"), value("included", "2")), ("2".into(), "\"2\"".into()));
}
