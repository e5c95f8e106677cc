//! The rows of the page that says who uses how much of what, and their order. Pure.

use crate::operator::listing::{Page, SortKey, Wanted};
use domain::TenantId;

/// The page's path.
pub(super) const PATH: &str = "/use";

/// Something that tenants use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The month's data, in bytes.
    Data,
    /// The files of the tenant's AdGuard Home, in bytes.
    Disk,
    /// The processor time of its AdGuard Home, in tenths of a percent of one
    /// processor.
    Cpu,
    /// The memory of its AdGuard Home, in bytes.
    Memory,
    /// Entries of the connection table.
    Connections,
}

impl Resource {
    pub const ALL: [Self; 5] = [
        Self::Data,
        Self::Disk,
        Self::Cpu,
        Self::Memory,
        Self::Connections,
    ];

    /// Returns the heading of its column.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Data => "Data this month",
            Self::Disk => "Disk",
            Self::Cpu => "CPU",
            Self::Memory => "Memory",
            Self::Connections => "Connections",
        }
    }

    /// Returns its name in addresses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Disk => "disk",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Connections => "connections",
        }
    }
}

/// How much of something a tenant uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// `None` if it is not measured.
    pub used: Option<u64>,
    /// `None` if there is no limit.
    pub limit: Option<u64>,
}

impl Measure {
    /// Returns the share of the limit in millionths, rounded down.
    fn share(self) -> Option<u64> {
        let (used, limit) = (u128::from(self.used?), u128::from(self.limit?));
        u64::try_from(used * 1_000_000 / limit.max(1)).ok()
    }

    /// Returns the share of the limit in whole per cent, rounded down.
    pub fn percent(self) -> Option<u64> {
        Some(self.share()? / 10_000)
    }
}

/// What one tenant uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UseRow {
    pub id: TenantId,
    pub name: String,
    /// By [`Resource::ALL`].
    pub measures: [Measure; 5],
}

impl UseRow {
    /// Returns how much of a resource the tenant uses.
    pub fn measure(&self, resource: Resource) -> Measure {
        self.measures[resource as usize]
    }

    /// Returns the resource whose limit is closest.
    pub fn closest(&self) -> Option<Resource> {
        let limited = Resource::ALL.into_iter();
        let limited = limited.filter(|r| self.measure(*r).share().is_some());
        // Of equals the first.
        limited.rev().max_by_key(|r| self.measure(*r).share())
    }

    /// Returns the share of that limit, in millionths.
    fn closest_share(&self) -> Option<u64> {
        self.measure(self.closest()?).share()
    }
}

/// By what the rows are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// By what is closest to its limit.
    #[default]
    Closest,
    Name,
    Resource(Resource),
}

impl SortKey for SortBy {
    fn all() -> Vec<Self> {
        let resources = Resource::ALL.into_iter().map(Self::Resource);
        [Self::Name, Self::Closest]
            .into_iter()
            .chain(resources)
            .collect()
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Closest => "closest",
            Self::Name => "name",
            Self::Resource(resource) => resource.as_str(),
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Closest => "Closest to a limit",
            Self::Name => "Tenant",
            Self::Resource(resource) => resource.title(),
        }
    }

    fn is_ascending(self) -> bool {
        self == Self::Name
    }

    fn is_number(self) -> bool {
        matches!(self, Self::Resource(_))
    }
}

/// Returns the rows of the page that is asked for.
pub fn page(mut rows: Vec<UseRow>, wanted: &Wanted<SortBy>) -> Page<UseRow> {
    rows.retain(|r| r.name.contains(&wanted.search));
    // Names are unique, so every order is the same at each request.
    rows.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    match wanted.sort {
        SortBy::Name => {}
        SortBy::Closest => rows.sort_by_key(|r| std::cmp::Reverse(r.closest_share())),
        SortBy::Resource(by) => rows.sort_by_key(|r| std::cmp::Reverse(r.measure(by).used)),
    }
    if wanted.turned {
        rows.reverse();
    }
    Page::of(rows, wanted.page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: i64, used: u64, limit: Option<u64>) -> UseRow {
        let mut measures = [Measure::default(); 5];
        measures[Resource::Disk as usize] = Measure {
            used: Some(used),
            limit,
        };
        UseRow {
            id: TenantId(id),
            name: format!("tenant-{id:04}"),
            measures,
        }
    }

    fn ids(page: &Page<UseRow>) -> Vec<i64> {
        page.rows.iter().map(|r| r.id.0).collect()
    }

    #[test]
    fn what_is_closest_to_a_limit_is_first() {
        let rows = vec![
            row(1, 900, Some(1_000)),
            row(2, 99, Some(100)),
            row(3, 5_000, None),
        ];
        let closest = page(rows.clone(), &Wanted::default());
        assert_eq!(ids(&closest), [2, 1, 3]);
        assert_eq!(closest.rows[0].closest(), Some(Resource::Disk));
        assert_eq!(closest.rows[0].measure(Resource::Disk).percent(), Some(99));
        assert_eq!(closest.rows[2].closest(), None);
        let by = |sort, turned| {
            let wanted = Wanted {
                sort,
                turned,
                ..Wanted::default()
            };
            ids(&page(rows.clone(), &wanted))
        };
        assert_eq!(by(SortBy::Resource(Resource::Disk), false), [3, 1, 2]);
        assert_eq!(by(SortBy::Resource(Resource::Disk), true), [2, 1, 3]);
        assert_eq!(by(SortBy::Name, false), [1, 2, 3]);
        let unmeasured = by(SortBy::Resource(Resource::Cpu), false);
        assert_eq!(unmeasured, [1, 2, 3], "the order of the names");
    }

    #[test]
    fn every_limited_resource_counts_by_its_share() {
        let mut rows: Vec<UseRow> = (1..=5).map(|id| row(id, 0, None)).collect();
        for (i, resource) in Resource::ALL.into_iter().enumerate() {
            let used = 900_000 + i as u64;
            // The fourth decimal decides, and not how large the numbers are.
            let factor = 10_u64.pow(i as u32);
            rows[i].measures[resource as usize] = Measure {
                used: Some(used * factor),
                limit: Some(1_000_000 * factor),
            };
        }
        let sorted = page(rows, &Wanted::default());
        assert_eq!(ids(&sorted), [5, 4, 3, 2, 1]);
        let closest: Vec<_> = sorted.rows.iter().filter_map(UseRow::closest).collect();
        let mut all = Resource::ALL;
        all.reverse();
        assert_eq!(closest, all);
    }

    #[test]
    fn no_more_than_a_hundred_of_a_thousand_are_drawn() {
        let rows: Vec<UseRow> = (1..=1_000)
            .map(|i| row(i, 1_000 - i as u64, None))
            .collect();
        let mut wanted = Wanted {
            sort: SortBy::Name,
            page: 9,
            ..Wanted::default()
        };
        let drawn = page(rows.clone(), &wanted);
        assert_eq!(ids(&drawn), (901..=1_000).collect::<Vec<_>>());
        wanted.search = "0999".to_owned();
        let found = page(rows, &wanted);
        assert_eq!((found.matching, ids(&found)), (1, vec![999]));
    }
}
