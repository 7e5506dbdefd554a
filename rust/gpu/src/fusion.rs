//! Elementwise kernels by recipe: single steps are compiled where they are met, chains once they have been met several
//! times, by a thread of their own, so that nobody waits for a kernel that may never be needed again.

use crate::chain::Plan;
use crate::context::{locked, Context};
use crate::pipeline::Pipeline;
use crate::recipe::Recipe;
use crate::stream::Dispatch;
use rustc_hash::FxHashMap;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc::{channel, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use wengert_ops::Result;

/// A chain that comes so often is compiled.
const SIGHTINGS: u32 = 3;
/// Chains that are remembered: beyond, those not compiled are forgotten.
const REMEMBERED: usize = 4096;
/// Chains that are compiled: beyond, further ones run step by step.
const COMPILED: usize = 1024;

enum State {
    /// So often.
    Met(u32),
    Compiling,
    Ready(Arc<Pipeline>),
    /// It does not compile, or there are too many.
    Refused,
}

#[derive(Default)]
struct Table {
    kernels: FxHashMap<Recipe, State>,
    /// How many chains among them are compiled or being so.
    chains: usize,
    compiling: usize,
    /// The compiling thread's work; opened with the first chain.
    compiler: Option<Sender<(Recipe, String)>>,
}

/// All elementwise kernels of a device.
#[derive(Default)]
pub(crate) struct Kernels {
    table: Mutex<Table>,
    done: Condvar,
}

impl Context {
    fn build(&self, recipe: &Recipe, body: &str) -> Result<Arc<Pipeline>> {
        Ok(Arc::new(self.compile(&recipe.label(), recipe.frame.source(body))?))
    }

    /// The kernel of a chain, if it is compiled. Else this was one more sighting; `body` is its text.
    pub fn chain(&'static self, recipe: &Recipe, body: impl FnOnce() -> String) -> Option<Arc<Pipeline>> {
        let mut table = locked(&self.kernels.table);
        match table.kernels.get_mut(recipe) {
            Some(State::Ready(pipeline)) => return Some(pipeline.clone()),
            Some(State::Met(times)) if *times + 1 < SIGHTINGS => *times += 1,
            Some(State::Met(_)) => {
                let begun = table.chains < COMPILED && self.begin(&mut table, recipe, body());
                table.kernels.insert(recipe.clone(), if begun { State::Compiling } else { State::Refused });
            }
            Some(State::Compiling | State::Refused) => {}
            None => {
                if table.kernels.len() >= REMEMBERED {
                    table.kernels.retain(|_, state| matches!(state, State::Ready(_) | State::Compiling));
                }
                table.kernels.insert(recipe.clone(), State::Met(1));
            }
        }
        None
    }

    /// Hands a chain to the compiling thread; false where there is none to be had.
    fn begin(&'static self, table: &mut Table, recipe: &Recipe, body: String) -> bool {
        if table.compiler.is_none() {
            let (sender, receiver) = channel::<(Recipe, String)>();
            // Nobody waits for it: it ends with the process, whatever it is doing.
            let thread = std::thread::Builder::new().name(format!("wengert-gpu-{}", self.index));
            if thread
                .spawn(move || receiver.iter().for_each(|(recipe, body)| self.finish_chain(recipe, &body)))
                .is_err()
            {
                return false;
            }
            table.compiler = Some(sender);
        }
        let begun = table.compiler.as_ref().is_some_and(|compiler| compiler.send((recipe.clone(), body)).is_ok());
        if begun {
            table.chains += 1;
            table.compiling += 1;
        }
        begun
    }

    fn finish_chain(&self, recipe: Recipe, body: &str) {
        // A driver's panic must not end the thread: whoever settles would wait for ever.
        let built = catch_unwind(AssertUnwindSafe(|| self.build(&recipe, body)));
        let mut table = locked(&self.kernels.table);
        let state = match built {
            Ok(Ok(pipeline)) => State::Ready(pipeline),
            _ => State::Refused,
        };
        table.kernels.insert(recipe, state);
        table.compiling -= 1;
        self.kernels.done.notify_all();
    }

    /// Waits until the chains that are being compiled are so.
    pub fn settle(&self) -> Result<()> {
        self.check()?;
        let mut table = locked(&self.kernels.table);
        while table.compiling > 0 {
            table = self.kernels.done.wait(table).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// How many elementwise kernels are compiled, chains among them; chains that are refused.
    pub fn recipes(&self) -> (usize, usize) {
        let table = locked(&self.kernels.table);
        let count = |f: fn(&State) -> bool| table.kernels.values().filter(|s| f(s)).count();
        (count(|s| matches!(s, State::Ready(_))), count(|s| matches!(s, State::Refused)))
    }
}

impl Plan {
    /// The kernel of one step, compiled here where it is new.
    pub fn single(self, context: &'static Context) -> Result<Dispatch> {
        if let Some(State::Ready(pipeline)) = locked(&context.kernels.table).kernels.get(&self.recipe) {
            let pipeline = pipeline.clone();
            return Ok(self.dispatch(pipeline));
        }
        let built = context.build(&self.recipe, &self.recipe.text())?;
        let mut table = locked(&context.kernels.table);
        // Another thread may have been faster; either will do.
        table.kernels.insert(self.recipe.clone(), State::Ready(built.clone()));
        drop(table);
        Ok(self.dispatch(built))
    }
}
