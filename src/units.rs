//! Sizes as people read them.

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

#[cfg(test)]
mod tests {
    use super::*;

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
