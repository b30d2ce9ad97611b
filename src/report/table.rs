//! `sdp status` and its history as tables.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use console::measure_text_width;
use tabwriter::TabWriter;

use super::style::{clean, duration};
use crate::event::{Past, Service, Setting};

const SERVICES: &str = "REPOSITORY\tSTATE\tUP\tBRANCH\tCOMMIT\tCONTAINER\tPORTS";
const RELEASES: &str = "RELEASE\tBRANCH\tCOMMIT";
const SETTINGS: &str = "KEY\tVALUE\tFROM";
const HISTORY: &str = "AT\tWHAT\tOUTCOME\tERROR\tTIME\tBRANCH\tCOMMIT\tDEPLOYMENT\tBY";

/// The rows of the tables, collected until all of them are there.
#[derive(Debug, Default)]
pub struct Table {
    services: Vec<String>,
    /// The name and the checkout of each service.
    places: Vec<(String, String)>,
    releases: Vec<String>,
    history: Vec<String>,
    settings: Vec<String>,
}

impl Table {
    /// Adds a service, and what one can go back to.
    pub fn add(&mut self, service: &Service) {
        let up = service.up.map_or_else(|| "-".to_owned(), duration);
        let state = match service.restarts {
            0 => service.state.clone(),
            1 => format!("{} (1 restart)", service.state),
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
        self.services.push(row(&[
            &service.repository,
            &state,
            &up,
            service.branch.as_deref().unwrap_or("-"),
            service.commit.short(),
            &service.container.name,
            &ports,
        ]));
        self.places
            .push((service.repository.clone(), service.path.clone()));
        for kept in &service.releases {
            self.releases.push(row(&[
                &kept.deployment,
                kept.branch.as_deref().unwrap_or("-"),
                kept.commit.short(),
            ]));
        }
    }

    /// Adds something that was done.
    pub fn add_past(&mut self, past: &Past) {
        let commit = past.commit.as_deref().unwrap_or("-");
        self.history.push(row(&[
            &past.at,
            &past.what,
            &past.outcome,
            past.code.as_deref().unwrap_or("-"),
            &duration(Duration::from_millis(past.elapsed_ms)),
            past.branch.as_deref().unwrap_or("-"),
            commit.get(..9).unwrap_or(commit),
            &past.id,
            &past.who,
        ]));
    }

    /// Adds a setting that a deployment would use.
    pub fn add_setting(&mut self, setting: &Setting) {
        let from = match (setting.origin, &setting.place) {
            ("file", Some(place)) => place.clone(),
            (origin, Some(place)) => format!("{origin} {place}"),
            (origin, None) => origin.to_owned(),
        };
        self.settings
            .push(row(&[&setting.key, &setting.value, &from]));
    }

    /// The tables with a line of headings each; empty without a row. Where one is wider than the terminal's
    /// `columns`, each of its cells has a line.
    pub fn text(&self, columns: Option<usize>) -> String {
        let names: BTreeSet<&str> = self.places.iter().map(|(name, _)| name.as_str()).collect();
        // Only the checkout tells two services of one name apart.
        let services = if names.len() < self.places.len() {
            let rows = self.services.iter().zip(&self.places);
            let rows = rows.map(|(row, (_, path))| format!("{row}\t{}", cell(path)));
            let rows: Vec<String> = rows.collect();
            table(&format!("{SERVICES}\tPATH"), &rows, columns)
        } else {
            table(SERVICES, &self.services, columns)
        };
        let tables = [
            services,
            table(RELEASES, &self.releases, columns),
            table(HISTORY, &self.history, columns),
            table(SETTINGS, &self.settings, columns),
        ];
        let tables = tables.into_iter().filter(|table| !table.is_empty());
        tables.collect::<Vec<_>>().join("\n")
    }
}

fn row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    cells.join("\t")
}

fn cell(text: &str) -> String {
    clean(text).replace('\t', " ")
}

/// Empty without a row.
fn table(head: &str, rows: &[String], columns: Option<usize>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let table = aligned(&format!("{head}\n{}", rows.join("\n")));
    let is_wide = |columns| table.lines().any(|line| measure_text_width(line) > columns);
    if !columns.is_some_and(is_wide) {
        return table;
    }
    let stacked = rows.iter().map(|row| {
        let cells = head.split('\t').zip(row.split('\t'));
        let lines: Vec<String> = cells
            .map(|(head, cell)| format!("{head}\t{cell}"))
            .collect();
        aligned(&lines.join("\n"))
    });
    stacked.collect::<Vec<_>>().join("\n")
}

fn aligned(lines: &str) -> String {
    let mut writer = TabWriter::new(Vec::new()).padding(2);
    writeln!(writer, "{lines}").unwrap_or_default();
    let table = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&table).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_too_wide_has_a_line_for_each_cell() {
        let rows = ["shop\trunning".to_owned(), "größe\tstopped".to_owned()];
        let wide = "NAME   STATE\nshop   running\ngröße  stopped\n";
        assert_eq!(table("NAME\tSTATE", &rows, None), wide);
        assert_eq!(table("NAME\tSTATE", &rows, Some(14)), wide);
        assert_eq!(
            table("NAME\tSTATE", &rows, Some(13)),
            "NAME   shop\nSTATE  running\n\nNAME   größe\nSTATE  stopped\n"
        );
    }
}
