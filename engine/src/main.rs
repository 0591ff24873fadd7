//! `ringpost`: serves mail; `ringpost check`: explains a configuration.

use clap::{Parser, Subcommand};
use engine::config::{Config, DEMO_DOMAIN, DEMO_PASSWORD, Problem, Problems};
use engine::serve::{Server, check_secret, tls_files};
use engine::sign::Signers;
use engine::tls::CertificateError;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[global_allocator]
static HEAP: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An io_uring mail engine. Without --config it serves a safe demo on loopback.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Keep the data here, whatever the configuration says
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The password of the demo's accounts
    #[arg(long, value_name = "PASSWORD", default_value = DEMO_PASSWORD, conflicts_with = "config")]
    demo_password: String,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Read a configuration and explain it: exit 0 when it is right, 2 when it is not
    Check {
        /// The configuration file (TOML)
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match &arguments.command {
        Some(Command::Check { config }) => check(config),
        None => serve(arguments),
    }
}

fn check(file: &Path) -> ExitCode {
    let config = Config::read(file, &check_secret).and_then(|config| {
        // Reading a key is more than reading its file: what is wrong with one is told here, too.
        match Signers::load(&config.dkim, &|key| std::fs::read(key)) {
            Ok(_) => with_tls_files(file, config),
            Err(problems) => Err(Problems::new(file.display().to_string(), problems)),
        }
    });
    match config {
        Ok(config) => {
            print!("{}", config.explain());
            ExitCode::SUCCESS
        }
        Err(problems) => wrong(&problems),
    }
}

/// The same for authorities and certificates.
fn with_tls_files(file: &Path, config: Config) -> Result<Config, Problems> {
    let problem = |error: CertificateError| {
        let all = vec![Problem::new(0, error.to_string())];
        Problems::new(file.display().to_string(), all)
    };
    tls_files(&config).map_err(problem)?;
    Ok(config)
}

fn serve(arguments: Arguments) -> ExitCode {
    let config = match &arguments.config {
        Some(file) => match Config::read(file, &check_secret) {
            Ok(config) => config,
            Err(problems) => return wrong(&problems),
        },
        None => demo(&arguments),
    };
    let config = match arguments.data {
        Some(data) => config.with_data(data),
        None => config,
    };
    let server = Server::prepare(config, arguments.config);
    match server.and_then(Server::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("ringpost: {}", refusal.0);
            ExitCode::FAILURE
        }
    }
}

fn demo(arguments: &Arguments) -> Config {
    let data = arguments
        .data
        .clone()
        .unwrap_or_else(|| PathBuf::from("ringpost-data"));
    let (place, password) = (data.display(), &arguments.demo_password);
    eprintln!("ringpost: demo on loopback, data in {place}");
    eprintln!("ringpost: alice@{DEMO_DOMAIN} and bob@{DEMO_DOMAIN} log in with {password}");
    Config::demo(&data, &arguments.demo_password)
}

fn wrong(problems: &Problems) -> ExitCode {
    eprintln!("{problems}");
    ExitCode::from(2)
}
