//! Sizes as people read them.

/// A number of bytes in MiB with one decimal, in KiB where that would be nothing but a zero.
pub fn size(bytes: u64) -> String {
    const MIB: u128 = 1 << 20;
    let tenths = (u128::from(bytes) * 10 + MIB / 2) / MIB;
    if tenths == 0 {
        format!("{} KiB", bytes.div_ceil(1024))
    } else {
        format!("{}.{} MiB", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_mib_with_one_decimal() {
        let shown = [0, 1, 2048, 60_000, 7_235_174, u64::MAX].map(size);
        assert_eq!(
            shown,
            [
                "0 KiB",
                "1 KiB",
                "2 KiB",
                "0.1 MiB",
                "6.9 MiB",
                "17592186044416.0 MiB"
            ]
        );
    }
}
