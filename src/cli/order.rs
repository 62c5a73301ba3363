//! Which comes first, where some stand on others.

/// An order in which each comes behind those that it stands on, and else as they are; `below` has for each those.
///
/// # Errors
/// A circle: each of it stands on the next, and the last on the first.
pub(super) fn lower_first(below: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut order = Vec::with_capacity(below.len());
    let mut done = vec![false; below.len()];
    let mut is_on_way = done.clone();
    for root in 0..below.len() {
        // The way down, each with how many of those below it have had their turn.
        let mut way: Vec<(usize, usize)> = if done[root] { Vec::new() } else { vec![(root, 0)] };
        while let Some((at, turn)) = way.last_mut() {
            let at = *at;
            let Some(&next) = below[at].get(*turn) else {
                way.pop();
                done[at] = true;
                order.push(at);
                continue;
            };
            *turn += 1;
            is_on_way[at] = true;
            if is_on_way[next] && !done[next] {
                return Err(way
                    .iter()
                    .map(|(on_way, _)| *on_way)
                    .skip_while(|on_way| *on_way != next)
                    .collect());
            }
            if !done[next] {
                way.push((next, 0));
            }
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comes_behind_those_that_it_stands_on() {
        assert_eq!(lower_first(&[vec![2], vec![], vec![1, 3], vec![]]), Ok(vec![1, 3, 2, 0]));
        assert_eq!(lower_first(&[vec![], vec![], vec![]]), Ok(vec![0, 1, 2]));
        assert_eq!(lower_first(&[]), Ok(vec![]));
    }

    #[test]
    fn a_circle_is_told() {
        assert_eq!(lower_first(&[vec![1], vec![2], vec![1]]), Err(vec![1, 2]));
        assert_eq!(lower_first(&[vec![0]]), Err(vec![0]));
    }

    #[test]
    fn any_number_can_stand_on_one_another() {
        let deep: Vec<Vec<usize>> =
            (0..100_000).map(|at| if at < 99_999 { vec![at + 1] } else { vec![] }).collect();
        assert_eq!(lower_first(&deep).unwrap()[0], 99_999);
    }
}
