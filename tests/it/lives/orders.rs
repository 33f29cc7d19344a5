//! The orders in which the messages of a life may arrive.

/// A life with at most this many orders is played in all of them: six messages in any order.
const ALL_UP_TO: usize = 720;
/// How many orders of a longer life are played.
const SOME: usize = 500;

/// Index of a message in the life, and whether it is a repetition.
pub(super) type Step = (usize, bool);

/// All orders of the messages of a life, or a random selection. `groups` has the length of each
/// group; all messages of one group precede all of the next. The first order is that of the table.
pub(super) fn orders(groups: &[usize], seed: u64) -> Vec<Vec<usize>> {
    let places = groups.iter().scan(0, |first, length| {
        let group: Vec<_> = (*first..*first + length).collect();
        *first += length;
        Some(group)
    });
    let places: Vec<_> = places.collect();
    let count = groups.iter().flat_map(|length| 1..=*length).try_fold(1_usize, usize::checked_mul);
    if count.is_some_and(|count| count <= ALL_UP_TO) {
        return places.iter().fold(vec![Vec::new()], |begun, group| {
            let ends = permutations(group);
            begun.iter().flat_map(|b| ends.iter().map(|end| [&**b, end].concat())).collect()
        });
    }
    let mut random = SeededRandom(seed);
    let shuffled = |random: &mut SeededRandom| {
        let mut places = places.clone();
        for group in &mut places {
            random.shuffle(group);
        }
        places.concat()
    };
    let mut orders = vec![places.concat()];
    orders.extend((1..SOME).map(|_| shuffled(&mut random)));
    orders
}

/// Each message of `order` once.
pub(super) fn once(order: &[usize]) -> Vec<Step> {
    order.iter().map(|place| (*place, false)).collect()
}

/// Each message of `order` twice, the second time at a random later position.
pub(super) fn twice(order: &[usize], seed: u64) -> Vec<Step> {
    let mut random = SeededRandom(seed);
    let mut steps = once(order);
    for place in order {
        let first = steps.iter().position(|step| *step == (*place, false)).unwrap();
        let later = first + 1 + random.below(steps.len() - first);
        steps.insert(later, (*place, true));
    }
    steps
}

fn permutations(items: &[usize]) -> Vec<Vec<usize>> {
    let Some((first, rest)) = items.split_first() else { return vec![Vec::new()] };
    let mut all: Vec<Vec<usize>> = Vec::new();
    for rest in permutations(rest) {
        for at in 0..=rest.len() {
            all.push([&rest[..at], &[*first], &rest[at..]].concat());
        }
    }
    all
}

/// A seeded random number generator, so that a failure is reproducible.
struct SeededRandom(u64);

impl SeededRandom {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % u64::try_from(limit).unwrap()).unwrap()
    }

    fn shuffle(&mut self, items: &mut [usize]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

#[test]
fn orders_are_all_or_many_and_begin_as_written() {
    assert_eq!(orders(&[1, 2], 1), [[0, 1, 2], [0, 2, 1]]);
    assert_eq!(orders(&[6], 1).len(), 720);
    let many = orders(&[3, 6], 1);
    assert_eq!((many.len(), &many[0]), (SOME, &(0..9).collect::<Vec<_>>()));
    for order in many {
        let (mut first, mut second) = (order[..3].to_vec(), order[3..].to_vec());
        first.sort_unstable();
        second.sort_unstable();
        assert_eq!((first, second), ((0..3).collect(), (3..9).collect()));
    }
    for seed in 0..9 {
        let steps = twice(&[2, 0, 1], seed);
        let firsts: Vec<_> = steps.iter().filter(|step| !step.1).map(|step| step.0).collect();
        assert_eq!((steps.len(), firsts), (6, vec![2, 0, 1]));
        for place in 0..3 {
            let at = |is_again| steps.iter().position(|step| *step == (place, is_again));
            assert!(at(false) < at(true));
        }
    }
}
