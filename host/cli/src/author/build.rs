//! `build`: from a project's folder to a component that the host takes.

use std::path::Path;
use std::process::ExitCode;

use tokio::runtime::Handle;

use super::super::Setting;
use super::super::table::red;
use super::check;
use super::project::Project;
use super::show::show;
use super::{Refused, watch};

pub(in super::super) async fn build(
    setting: &Setting,
    folder: &Path,
    watched: bool,
) -> anyhow::Result<ExitCode> {
    if watched {
        return watch::watch(setting, folder).await;
    }
    once(setting, folder).await
}

/// Builds once: 0 where there is a new component, 1 where the project is not in order.
pub(super) async fn once(setting: &Setting, folder: &Path) -> anyhow::Result<ExitCode> {
    match build_and_show(setting, folder).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.is::<Refused>() => {
            tell!("{} {error}", red("not built:"));
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error),
    }
}

async fn build_and_show(setting: &Setting, folder: &Path) -> anyhow::Result<()> {
    let project = Project::open(folder)?;
    let made = project.language.compile(&project.folder).await?;
    let runtime = Handle::current();
    // Compiling takes long and asks guests: not on a thread of the runtime.
    let built = tokio::task::block_in_place(|| check::take_over(&project, &made, &runtime))?;
    show(setting, &project, &built)
}
