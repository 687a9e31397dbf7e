//! Shell completions and the manual page, made from the definition of the
//! arguments, which is the only place where they are documented.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;

use super::{arguments::Arguments, printer::Printer};

const NAME: &str = "memtrace";

pub fn completions(shell: Shell, printer: &Printer) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), NAME, &mut script);
    printer.text(&script);
    Ok(ExitCode::SUCCESS)
}

/// One page for the whole: the options of each subcommand follow the program's.
pub fn page(printer: &Printer) -> anyhow::Result<ExitCode> {
    let mut page = Vec::new();
    render(&mut page).context("the manual page")?;
    printer.text(&page);
    Ok(ExitCode::SUCCESS)
}

fn render(page: &mut Vec<u8>) -> std::io::Result<()> {
    let mut command = Arguments::command();
    command.build();
    let whole = Man::new(command.clone());
    whole.render_title(page)?;
    whole.render_name_section(page)?;
    whole.render_synopsis_section(page)?;
    whole.render_options_section(page)?;
    let subcommands = command.get_subcommands();
    for subcommand in subcommands.filter(|it| !it.is_hide_set() && it.get_name() != "help") {
        let part = Man::new(subcommand.clone());
        let title = format!("{NAME} {}", subcommand.get_name()).to_uppercase();
        page.extend_from_slice(format!(".SH \"{title}\"\n").as_bytes());
        part.render_description_section(page)?;
        part.render_synopsis_section(page)?;
        part.render_options_section(page)?;
    }
    Ok(())
}
