//! The rows of the page that says who uses how much of what: their order, and the
//! part of them that is drawn. Pure.

use domain::TenantId;

/// The most rows that are drawn at a time.
pub const PAGE_ROWS: usize = 100;

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
    /// Returns the share of the limit in whole per cent, rounded down.
    pub fn percent(self) -> Option<u64> {
        let (used, limit) = (self.used?, self.limit?);
        Some(used.saturating_mul(100) / limit.max(1))
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

    /// Returns the resource whose limit is closest, with the share that is used.
    pub fn closest(&self) -> Option<(Resource, u64)> {
        let shares = Resource::ALL.into_iter().filter_map(|r| {
            let percent = self.measure(r).percent()?;
            Some((r, percent))
        });
        // Of equals the first.
        shares.rev().max_by_key(|(_, percent)| *percent)
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

impl SortBy {
    /// Returns every order there is.
    pub fn all() -> impl Iterator<Item = Self> {
        let resources = Resource::ALL.into_iter().map(Self::Resource);
        [Self::Name, Self::Closest].into_iter().chain(resources)
    }

    /// Returns its name in addresses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closest => "closest",
            Self::Name => "name",
            Self::Resource(resource) => resource.as_str(),
        }
    }

    /// Returns the heading of its column.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Closest => "Closest to a limit",
            Self::Name => "Tenant",
            Self::Resource(resource) => resource.title(),
        }
    }

    /// Parses the name in addresses.
    pub fn parse(text: &str) -> Option<Self> {
        Self::all().find(|s| s.as_str() == text)
    }
}

/// What a query asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub sort: SortBy,
    /// Whether the usual order is turned around: numbers have the greatest first,
    /// names the first of the alphabet.
    pub turned: bool,
    /// A part of a name.
    pub search: String,
    /// The page, from 0.
    pub page: usize,
}

impl Wanted {
    /// Reads a query. What cannot be read counts as not given.
    pub fn from_query(get: impl Fn(&str) -> Option<String>) -> Self {
        let page = get("page").and_then(|p| p.parse::<usize>().ok());
        Self {
            sort: get("sort")
                .and_then(|s| SortBy::parse(&s))
                .unwrap_or_default(),
            turned: get("order").is_some_and(|o| o == "turned"),
            search: get("q").unwrap_or_default().trim().to_lowercase(),
            page: page.unwrap_or(1).saturating_sub(1),
        }
    }

    /// Returns the address of these rows.
    pub fn url(&self) -> String {
        let page = (self.page + 1).to_string();
        let order = if self.turned { "turned" } else { "" };
        let all = [
            ("sort", self.sort.as_str(), self.sort == SortBy::default()),
            ("order", order, order.is_empty()),
            ("q", self.search.as_str(), self.search.is_empty()),
            ("page", page.as_str(), self.page == 0),
        ];
        let given: Vec<_> = all
            .iter()
            .filter(|(.., is_usual)| !is_usual)
            .map(|(name, value, _)| (*name, *value))
            .collect();
        if given.is_empty() {
            return "/use".to_owned();
        }
        crate::forms::url_with("/use", &given)
    }

    /// Returns the rows of another order, from the first page on; of the present
    /// order, turned around.
    pub fn sorted_by(&self, sort: SortBy) -> Self {
        Self {
            sort,
            turned: sort == self.sort && !self.turned,
            search: self.search.clone(),
            page: 0,
        }
    }
}

/// The rows that are drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub rows: Vec<UseRow>,
    /// The number of rows that match the search.
    pub matching: usize,
    /// This page, from 0; the last one if there are not so many.
    pub page: usize,
    /// The number of pages, at least 1.
    pub pages: usize,
}

/// Returns the rows of the page that is asked for.
pub fn page(mut rows: Vec<UseRow>, wanted: &Wanted) -> Page {
    rows.retain(|r| r.name.contains(&wanted.search));
    // Names are unique, so every order is the same at each request.
    rows.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    match wanted.sort {
        SortBy::Name => {}
        SortBy::Closest => rows.sort_by_key(|r| std::cmp::Reverse(r.closest().map(|c| c.1))),
        SortBy::Resource(by) => rows.sort_by_key(|r| std::cmp::Reverse(r.measure(by).used)),
    }
    if wanted.turned {
        rows.reverse();
    }
    let matching = rows.len();
    let pages = matching.div_ceil(PAGE_ROWS).max(1);
    let page = wanted.page.min(pages - 1);
    let rows = rows.into_iter().skip(page * PAGE_ROWS).take(PAGE_ROWS);
    Page {
        rows: rows.collect(),
        matching,
        page,
        pages,
    }
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

    fn ids(page: &Page) -> Vec<i64> {
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
        assert_eq!(closest.rows[0].closest(), Some((Resource::Disk, 99)));
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
    fn no_more_than_a_hundred_of_a_thousand_are_drawn() {
        let rows: Vec<UseRow> = (1..=1_000)
            .map(|i| row(i, 1_000 - i as u64, None))
            .collect();
        let mut wanted = Wanted {
            sort: SortBy::Name,
            ..Wanted::default()
        };
        let mut seen = Vec::new();
        for number in 0..10 {
            wanted.page = number;
            let drawn = page(rows.clone(), &wanted);
            assert_eq!((drawn.rows.len(), drawn.pages), (PAGE_ROWS, 10));
            seen.extend(ids(&drawn));
        }
        assert_eq!(seen, (1..=1_000).collect::<Vec<_>>(), "each one once");
        wanted.page = 4_711;
        assert_eq!(page(rows.clone(), &wanted).page, 9);
        wanted.search = "0999".to_owned();
        let found = page(rows, &wanted);
        assert_eq!((found.matching, ids(&found)), (1, vec![999]));
        assert_eq!(page(Vec::new(), &wanted).pages, 1);
    }

    #[test]
    fn an_address_says_which_rows() {
        assert_eq!(Wanted::default().url(), "/use");
        let wanted = Wanted {
            sort: SortBy::Resource(Resource::Memory),
            turned: true,
            search: "a&b".to_owned(),
            page: 2,
        };
        let url = wanted.url();
        let request = leptos_router::location::RequestUrl::new(&url);
        let parsed = request.parse().unwrap();
        let read = Wanted::from_query(|key| parsed.search_params().get(key));
        assert_eq!(read, wanted);
        let again = wanted.sorted_by(SortBy::Resource(Resource::Memory));
        assert_eq!((again.turned, again.page), (false, 0));
        let odd = Wanted::from_query(|key| (key == "page").then(|| "-1".to_owned()));
        assert_eq!(odd, Wanted::default());
    }
}
