//! The container's image, pulled or imported while git and go work.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::engine::{
    Arrival, BUILTIN, Engine, Image, Platform, Ways, check_archive, missing_image,
};
use crate::failure::{Code, Failure, Result};
use crate::plan::{Plan, Pull};
use crate::stage::Context;

/// How long nothing may come before people hear of it.
const SILENCE: Duration = Duration::from_secs(10);

/// Whether the image is there and fits, or may be had, so far as this host can tell before anything is touched.
///
/// # Errors
/// `wrong_image`, `image_missing`, or `usage` for an archive that does not hold it.
pub async fn check(plan: &Plan, present: Option<&Image>, platform: &Platform) -> Result<()> {
    let (wanted, pull) = (&plan.container.image, plan.pull);
    match (present, &plan.image_archive) {
        _ if wanted == BUILTIN => Ok(()),
        (Some(image), _) if pull != Pull::Always => image.check(platform),
        (_, Some(archive)) => {
            let (archive, wanted) = (archive.clone(), wanted.clone());
            let checked = tokio::task::spawn_blocking(move || check_archive(&archive, &wanted));
            checked.await.map_err(anyhow::Error::from)?
        }
        (None, None) if pull == Pull::Never => Err(missing_image(wanted, None)),
        _ => Ok(()),
    }
}

/// The image on its way while git and go work.
#[derive(Debug)]
pub struct Provision {
    image: Option<Image>,
    task: Option<JoinHandle<Result<Image>>>,
    progress: watch::Receiver<Arrival>,
}

impl Provision {
    /// Starts to look after it.
    pub fn begin(
        engine: &Engine,
        plan: &Plan,
        present: Option<Image>,
        platform: &Platform,
    ) -> Provision {
        let (sender, progress) = watch::channel(Arrival::default());
        let (engine, platform) = (engine.clone(), platform.clone());
        let (wanted, pull) = (plan.container.image.clone(), plan.pull);
        let archive = plan.image_archive.clone();
        let task = tokio::spawn(async move {
            let archive = archive.as_deref();
            let ways = Ways { pull, archive };
            let tell = move |arrival| {
                sender.send_replace(arrival);
            };
            engine
                .provide_image(&wanted, ways, present, &platform, tell)
                .await
        });
        Provision {
            image: None,
            task: Some(task),
            progress,
        }
    }

    /// An image that is known not to come spares the build.
    ///
    /// # Errors
    /// Those of [`Engine::provide_image`].
    pub async fn fail_early(&mut self) -> Result<()> {
        if self.task.as_ref().is_some_and(JoinHandle::is_finished) {
            self.arrive().await?;
        }
        Ok(())
    }

    /// Waits until the image is known; it can still be waited for afterwards.
    ///
    /// # Errors
    /// Those of [`Engine::provide_image`].
    pub async fn arrive(&mut self) -> Result<Image> {
        let image = match self.image.take() {
            Some(image) => image,
            None => self.join().await?,
        };
        Ok(self.image.insert(image).clone())
    }

    /// Waits for the image, and tells how much of it has come.
    ///
    /// # Errors
    /// Those of [`Engine::provide_image`], or the interruption.
    pub async fn wait(&mut self, cx: &Context) -> Result<Image> {
        if let Some(image) = self.image.take() {
            return Ok(image);
        }
        let mut progress = self.progress.clone();
        let told = async {
            let mut layers = None;
            let mut is_told = false;
            loop {
                let changed = timeout(SILENCE, progress.changed()).await;
                match changed {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => std::future::pending::<()>().await,
                    Err(_) if !is_told => {
                        let line = format!("nothing has come of the image for {SILENCE:?}");
                        let hint = "Ctrl-C ends the wait, and leaves what serves as it is";
                        cx.events.warn(line, Some(hint.to_owned()));
                        is_told = true;
                        continue;
                    }
                    Err(_) => continue,
                }
                let arrival = *progress.borrow_and_update();
                if let Some((there, all)) = arrival.layers.filter(|_| arrival.layers != layers) {
                    cx.events
                        .note(format!("{there} of {all} layers of the image"));
                    layers = arrival.layers;
                }
                if let Some(amount) = arrival.amount {
                    cx.events.update(amount);
                }
            }
        };
        tokio::select! {
            image = self.join() => image,
            signal = cx.interrupt.cancelled() => Err(signal.into()),
            () = told => unreachable!("it waits for ever"),
        }
    }

    async fn join(&mut self) -> Result<Image> {
        match self.task.as_mut() {
            Some(task) => task.await.map_err(anyhow::Error::from)?,
            None => Err(Failure::new(
                Code::Internal,
                "the image was asked for twice",
            )),
        }
    }
}

impl Drop for Provision {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
