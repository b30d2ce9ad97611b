//! Sizes and times as people read them.

use std::time::Duration;

/// A number of bytes in KiB, or in MiB or GiB with one decimal: the largest of them that is not a mere zero.
pub fn size(bytes: u64) -> String {
    let tenths = |unit: u64| (u128::from(bytes) * 10 + u128::from(unit) / 2) / u128::from(unit);
    let (mib, gib) = (tenths(1 << 20), tenths(1 << 30));
    match (mib, gib) {
        (0, _) => format!("{} KiB", bytes.div_ceil(1024)),
        (..10_240, _) => format!("{}.{} MiB", mib / 10, mib % 10),
        _ => format!("{}.{} GiB", gib / 10, gib % 10),
    }
}

/// A time in whole seconds, minutes, hours or days, rounded down: the largest of them of which it has two.
pub fn span(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_the_largest_unit_that_they_have_two_of() {
        let shown = [0, 119, 120, 7199, 7200, 172_799, 172_800, 9_000_000]
            .map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(
            shown,
            [
                "0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days", "104 days"
            ]
        );
    }

    #[test]
    fn sizes_have_one_decimal_and_the_unit_that_fits() {
        let shown = [
            0,
            1,
            2048,
            60_000,
            7_235_174,
            (1 << 30) - 1,
            72_768_000_000,
            u64::MAX,
        ]
        .map(size);
        assert_eq!(
            shown,
            [
                "0 KiB",
                "1 KiB",
                "2 KiB",
                "0.1 MiB",
                "6.9 MiB",
                "1.0 GiB",
                "67.8 GiB",
                "17179869184.0 GiB"
            ]
        );
    }
}
