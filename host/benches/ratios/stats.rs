//! Medians, and the one way results are printed.

use std::time::Duration;

/// The middle of some values.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The value below which this share of the times lies, in microseconds.
pub(crate) fn percentile(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let last = times.len() - 1;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )]
    let at = ((last as f64) * share) as usize;
    times[at.min(last)].as_secs_f64() * 1e6
}

/// Two series taken in turns: ours and the reference's, in the same unit.
#[derive(Default)]
pub(crate) struct Pairs {
    ours: Vec<f64>,
    reference: Vec<f64>,
}

impl Pairs {
    pub(crate) fn push(&mut self, ours: f64, reference: f64) {
        self.ours.push(ours);
        self.reference.push(reference);
    }

    /// Prints the medians and the median of the ratios.
    pub(crate) fn print(mut self, what: &str, unit: &str, asked: &str) {
        let mut ratios: Vec<f64> = self
            .ours
            .iter()
            .zip(&self.reference)
            .map(|(a, b)| a / b)
            .collect();
        println!(
            "{what:<44} {:>10} {:>10} {:>8.2}  {asked}",
            format!("{:.1} {unit}", median(&mut self.ours)),
            format!("{:.1} {unit}", median(&mut self.reference)),
            median(&mut ratios)
        );
    }
}

/// A figure without a reference.
pub(crate) fn print_one(what: &str, value: &str, asked: &str) {
    println!("{what:<44} {value:>10} {:>10} {:>8}  {asked}", "-", "-");
}
