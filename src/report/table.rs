//! `sdp status` as a table.

use std::io::Write as _;

use tabwriter::TabWriter;

use super::style::{clean, duration};
use crate::event::Service;

/// The rows of the table, collected until all of them are there.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<String>,
}

impl Table {
    /// Adds a row.
    pub fn add(&mut self, service: &Service) {
        let up = service.up.map_or_else(|| "-".to_owned(), duration);
        let state = match service.restarts {
            0 => service.state.clone(),
            restarts => format!("{} ({restarts} restarts)", service.state),
        };
        let ports = match (
            service.container.ports.as_slice(),
            &service.container.address,
        ) {
            ([], Some(address)) => address.clone(),
            ([], None) => "-".to_owned(),
            (ports, _) => ports.join(", "),
        };
        let cells = [
            &service.repository,
            &state,
            &up,
            &service.branch,
            service.commit.short(),
            &service.container.name,
            &ports,
        ];
        self.rows
            .push(cells.map(|cell| clean(cell).replace('\t', " ")).join("\t"));
    }

    /// The whole table with a line of headings; empty without a row.
    pub fn text(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut writer = TabWriter::new(Vec::new()).padding(2);
        let head = "REPOSITORY\tSTATE\tUP\tBRANCH\tCOMMIT\tCONTAINER\tPORTS";
        writeln!(writer, "{head}\n{}", self.rows.join("\n")).unwrap_or_default();
        let table = writer.into_inner().unwrap_or_default();
        String::from_utf8_lossy(&table).into_owned()
    }
}
