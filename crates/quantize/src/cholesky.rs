//! Cholesky factors of a large symmetric matrix: `A = L L^T`, in place, in blocks.
//!
//! Right-looking: factor the next block on the diagonal, solve the rows under it, subtract their products from what is
//! left. The last step is nearly all of the n^3 / 3 multiplications; it runs over packed tiles of 4 rows, so that
//! every number that is read is used four times and the compiler makes vector instructions of it.

/// Columns factored at once.
const BLOCK: usize = 64;

/// Rows of a tile.
const TILE: usize = 4;

/// Overwrites the lower triangle of the `n` by `n` matrix `a` (row-major, only that triangle is read) by its factor.
/// What stands above the diagonal afterwards means nothing.
///
/// # Errors
/// The column at which `a` turns out not to be positive definite.
pub(crate) fn factor(a: &mut [f64], n: usize) -> Result<(), usize> {
    let mut tiles = Vec::new();
    for start in (0..n).step_by(BLOCK) {
        let end = n.min(start + BLOCK);
        factor_diagonal(a, n, start, end)?;
        solve_below(a, n, start, end);
        pack_below(a, n, start, end, &mut tiles);
        subtract_products(a, n, end, end - start, &tiles);
    }
    Ok(())
}

/// Factors the block of rows and columns `start..end`.
fn factor_diagonal(a: &mut [f64], n: usize, start: usize, end: usize) -> Result<(), usize> {
    for row in start..end {
        solve_row(a, n, start, row, row);
        let square: f64 = a[row * n + start..row * n + row].iter().map(|value| value * value).sum();
        let pivot = a[row * n + row] - square;
        // NaN compares as false.
        if !(pivot > 0.0 && pivot.is_finite()) {
            return Err(row);
        }
        a[row * n + row] = pivot.sqrt();
    }
    Ok(())
}

/// Solves the rows under the block: `X L^T = A`.
fn solve_below(a: &mut [f64], n: usize, start: usize, end: usize) {
    for row in end..n {
        solve_row(a, n, start, end, row);
    }
}

/// Columns `start..end` of the factor's row `row`, by the rows `start..end` of the factor.
fn solve_row(a: &mut [f64], n: usize, start: usize, end: usize, row: usize) {
    let (above, own) = a.split_at_mut(row * n);
    for column in start..end {
        let factor = &above[column * n + start..column * n + column + 1];
        let (known, rest) = own[start..].split_at_mut(column - start);
        let sum: f64 = known.iter().zip(factor).map(|(x, l)| x * l).sum();
        rest[0] = (rest[0] - sum) / factor[column - start];
    }
}

/// Copies columns `start..end` of the rows from `end` on into tiles `[rows / 4][columns][4]`, the last filled with zeros.
fn pack_below(a: &[f64], n: usize, start: usize, end: usize, tiles: &mut Vec<[f64; TILE]>) {
    tiles.clear();
    for first in (end..n).step_by(TILE) {
        for column in start..end {
            let value = |lane: usize| if first + lane < n { a[(first + lane) * n + column] } else { 0.0 };
            tiles.push(std::array::from_fn(value));
        }
    }
}

/// Subtracts `X X^T` from the lower triangle of what begins at row and column `first`; `tiles` are X, `depth` columns.
fn subtract_products(a: &mut [f64], n: usize, first: usize, depth: usize, tiles: &[[f64; TILE]]) {
    for (i, left) in tiles.chunks(depth).enumerate() {
        for (j, right) in tiles.chunks(depth).enumerate().take(i + 1) {
            let product = multiply(left, right);
            let column = first + j * TILE;
            for (lane, product) in product.iter().enumerate() {
                let row = first + i * TILE + lane;
                if row >= n {
                    break;
                }
                let width = TILE.min(n - column);
                let values = &mut a[row * n + column..row * n + column + width];
                for (value, product) in values.iter_mut().zip(product) {
                    *value -= product;
                }
            }
        }
    }
}

/// The products of four rows with four rows.
#[inline(always)]
fn multiply(left: &[[f64; TILE]], right: &[[f64; TILE]]) -> [[f64; TILE]; TILE] {
    let mut products = [[0.0; TILE]; TILE];
    for (left, right) in left.iter().zip(right) {
        for row in 0..TILE {
            for column in 0..TILE {
                products[row][column] += left[row] * right[column];
            }
        }
    }
    products
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A positive definite matrix of no pattern.
    fn matrix(n: usize) -> Vec<f64> {
        let entry = |i: usize, j: usize| ((i * 31 + j * 17 + i * j * 7) % 23) as f64 / 23.0 - 0.5;
        let mut a = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                a[i * n + j] = (0..n).map(|k| entry(i, k) * entry(j, k)).sum::<f64>();
            }
            a[i * n + i] += 0.1;
        }
        a
    }

    #[test]
    fn the_factor_times_itself_is_the_matrix() {
        for n in [1, 3, 4, 63, 64, 65, 130, 201] {
            let a = matrix(n);
            let mut l = a.clone();
            factor(&mut l, n).unwrap();
            for i in 0..n {
                for j in 0..=i {
                    let product: f64 = (0..=j).map(|k| l[i * n + k] * l[j * n + k]).sum();
                    assert!((product - a[i * n + j]).abs() < 1e-10 * n as f64, "{n}: {i} {j}");
                }
            }
        }
    }

    #[test]
    fn the_column_where_it_fails_is_named() {
        for at in [0, 5, 64, 99] {
            let mut a = matrix(100);
            a[at * 100 + at] = -1.0;
            assert_eq!(factor(&mut a, 100), Err(at));
        }
        assert_eq!(factor(&mut [f64::NAN], 1), Err(0));
        assert_eq!(factor(&mut [], 0), Ok(()));
    }
}
