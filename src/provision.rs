//! The container's image, pulled or imported while git and go work.

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::engine::{Engine, Image};
use crate::event::Amount;
use crate::failure::{Code, Failure, Result};
use crate::plan::Plan;
use crate::stage::Context;

/// The image on its way while git and go work.
#[derive(Debug)]
pub struct Provision {
    image: Option<Image>,
    task: Option<JoinHandle<Result<Image>>>,
    progress: watch::Receiver<Option<Amount>>,
}

impl Provision {
    /// Starts to look after it.
    pub fn begin(engine: &Engine, plan: &Plan, present: Option<Image>) -> Provision {
        let (sender, progress) = watch::channel(None);
        let (engine, wanted, pull) = (
            engine.clone(),
            plan.container.image.clone(),
            plan.container.pull,
        );
        let task = tokio::spawn(async move {
            let tell = |amount| {
                sender.send_replace(Some(amount));
            };
            engine.provide_image(&wanted, pull, present, tell).await
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
    /// `image_missing`.
    pub async fn fail_early(&mut self) -> Result<()> {
        if self.task.as_ref().is_some_and(JoinHandle::is_finished) {
            self.arrive().await?;
        }
        Ok(())
    }

    /// Waits until the image is known; it can still be waited for afterwards.
    ///
    /// # Errors
    /// `image_missing`.
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
    /// `image_missing`, or the interruption.
    pub async fn wait(&mut self, cx: &Context) -> Result<Image> {
        if let Some(image) = self.image.take() {
            return Ok(image);
        }
        let mut progress = self.progress.clone();
        let told = async {
            while progress.changed().await.is_ok() {
                if let Some(amount) = *progress.borrow_and_update() {
                    cx.events.update(amount);
                }
            }
            std::future::pending::<()>().await;
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
