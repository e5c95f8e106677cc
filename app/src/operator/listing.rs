//! A long table on a page without a script: its order, its search and its pages are links
//! and a form, and a part of the rows is drawn at a time.

use leptos::prelude::*;

/// The most rows that are drawn at a time.
pub const PAGE_ROWS: usize = 100;

/// By what the rows of a table can be sorted. The default is the usual order.
pub trait SortKey: Copy + Default + PartialEq + Send + Sync + 'static {
    /// Returns every order there is.
    fn all() -> Vec<Self>;

    /// Returns its name in addresses.
    fn as_str(self) -> &'static str;

    /// Returns the heading of its column.
    fn title(self) -> &'static str;

    /// Returns whether the usual order has the least first: of names, and not of numbers.
    fn is_ascending(self) -> bool;

    /// Returns whether its column has numbers.
    fn is_number(self) -> bool;
}

/// What a query asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted<S> {
    pub sort: S,
    /// Whether the usual order is turned around.
    pub turned: bool,
    /// A part of a name, in lower case.
    pub search: String,
    /// The page, from 0.
    pub page: usize,
}

impl<S: SortKey> Wanted<S> {
    /// Reads a query. What cannot be read counts as not given.
    pub fn from_query(get: impl Fn(&str) -> Option<String>) -> Self {
        let page = get("page").and_then(|p| p.parse::<usize>().ok());
        let sort = get("sort").and_then(|s| S::all().into_iter().find(|key| key.as_str() == s));
        Self {
            sort: sort.unwrap_or_default(),
            turned: get("order").is_some_and(|o| o == "turned"),
            search: get("q").unwrap_or_default().trim().to_lowercase(),
            page: page.unwrap_or(1).saturating_sub(1),
        }
    }

    /// Returns the address of these rows on the page at `path`.
    pub fn url(&self, path: &str) -> String {
        let page = (self.page + 1).to_string();
        let order = if self.turned { "turned" } else { "" };
        let all = [
            ("sort", self.sort.as_str(), self.sort == S::default()),
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
            return path.to_owned();
        }
        crate::forms::url_with(path, &given)
    }

    /// Returns the rows of another order, from the first page on; of the present
    /// order, turned around.
    pub fn sorted_by(&self, sort: S) -> Self {
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
pub struct Page<T> {
    pub rows: Vec<T>,
    /// The number of rows that match the search.
    pub matching: usize,
    /// This page, from 0; the last one if there are not so many.
    pub page: usize,
    /// The number of pages, at least 1.
    pub pages: usize,
}

impl<T> Page<T> {
    /// Returns a page of these rows, which are in order.
    pub fn of(rows: Vec<T>, page: usize) -> Self {
        let matching = rows.len();
        let pages = matching.div_ceil(PAGE_ROWS).max(1);
        let page = page.min(pages - 1);
        let rows = rows.into_iter().skip(page * PAGE_ROWS).take(PAGE_ROWS);
        Self {
            rows: rows.collect(),
            matching,
            page,
            pages,
        }
    }
}

/// A heading that sorts by its column; by the present one, it turns the order around.
pub fn heading<S: SortKey>(sort: S, wanted: &Wanted<S>, path: &str) -> impl IntoView + use<S> {
    let is_current = sort == wanted.sort;
    let (order, arrow) = match (is_current, wanted.turned != sort.is_ascending()) {
        (false, _) => (None, ""),
        (true, true) => (Some("ascending"), " ↑"),
        (true, false) => (Some("descending"), " ↓"),
    };
    let class = if sort.is_number() { "e" } else { "" };
    view! {
        <th scope="col" class=class aria-sort=order>
            <a class="hover:underline" href=wanted.sorted_by(sort).url(path)>
                {sort.title()}
                <span aria-hidden="true">{arrow}</span>
            </a>
        </th>
    }
}

/// The search, and the order where there are no headings: on a phone.
pub fn search<S: SortKey>(wanted: &Wanted<S>, path: &'static str, hint: &'static str) -> AnyView {
    let options = S::all().into_iter().map(|sort| {
        view! {
            <option value=sort.as_str() selected=sort == wanted.sort>
                {sort.title()}
            </option>
        }
    });
    let options = options.collect_view();
    view! {
        <form method="get" action=path role="search" class="row ms-auto max-md:w-full">
            <label class="sr-only" for="q">"Search tenants"</label>
            <input
                id="q"
                class="field md:w-[220px]!"
                type="search"
                name="q"
                value=wanted.search.clone()
                placeholder=hint
                maxlength="40"
            />
            <label class="s" for="sort">"Sort by"</label>
            <select id="sort" class="field w-auto!" name="sort" autocomplete="off">
                {options}
            </select>
            <button class="btn">"Show"</button>
        </form>
    }
    .into_any()
}

/// The links to the pages before and after; nothing where there is one page.
pub fn pages<S: SortKey, T>(page: &Page<T>, wanted: &Wanted<S>, path: &str) -> Option<AnyView> {
    if page.pages < 2 {
        return None;
    }
    let to = |page: usize| {
        let wanted = Wanted {
            page,
            ..wanted.clone()
        };
        wanted.url(path)
    };
    let (number, count) = (page.page, page.pages);
    let link = |page: usize, rel: &'static str, text: &'static str| {
        view! { <a class="btn btn-s" rel=rel href=to(page)>{text}</a> }
    };
    let before = (number > 0).then(|| link(number - 1, "prev", "Before"));
    let next = (number + 1 < count).then(|| link(number + 1, "next", "Next"));
    Some(
        view! {
            <nav class="row border-t border-line px-[18px] py-3" aria-label="Pages">
                {before}
                <span class="s num">{format!("Page {} of {count}", number + 1)}</span>
                <span class="ms-auto">{next}</span>
            </nav>
        }
        .into_any(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    enum By {
        #[default]
        Slot,
        Data,
    }

    impl SortKey for By {
        fn all() -> Vec<Self> {
            vec![Self::Slot, Self::Data]
        }

        fn as_str(self) -> &'static str {
            match self {
                Self::Slot => "slot",
                Self::Data => "data",
            }
        }

        fn title(self) -> &'static str {
            self.as_str()
        }

        fn is_ascending(self) -> bool {
            self == Self::Slot
        }

        fn is_number(self) -> bool {
            true
        }
    }

    #[test]
    fn each_row_is_on_one_page() {
        let rows: Vec<u32> = (0..1_042).collect();
        let mut seen = Vec::new();
        for number in 0..11 {
            let page = Page::of(rows.clone(), number);
            assert!(page.rows.len() <= PAGE_ROWS && page.pages == 11);
            seen.extend(page.rows);
        }
        assert_eq!(seen, rows);
        assert_eq!(Page::of(rows, 4_711).page, 10);
        assert_eq!(Page::of(Vec::<u32>::new(), 3).pages, 1);
    }

    #[test]
    fn an_address_says_which_rows() {
        assert_eq!(Wanted::<By>::default().url("/use"), "/use");
        let wanted = Wanted {
            sort: By::Data,
            turned: true,
            search: "a&b".to_owned(),
            page: 2,
        };
        let request = leptos_router::location::RequestUrl::new(&wanted.url("/use"));
        let parsed = request.parse().unwrap();
        let read = Wanted::from_query(|key| parsed.search_params().get(key));
        assert_eq!(read, wanted);
        let again = wanted.sorted_by(By::Data);
        assert_eq!((again.turned, again.page), (false, 0));
        let odd = Wanted::<By>::from_query(|key| (key == "page").then(|| "-1".to_owned()));
        assert_eq!(odd, Wanted::default());
    }

    #[test]
    fn links_between_pages_keep_the_order() {
        let wanted = Wanted {
            sort: By::Data,
            page: 1,
            ..Wanted::default()
        };
        let page = Page::of((0..250).collect::<Vec<u32>>(), 1);
        let html = pages(&page, &wanted, "/").unwrap().to_html();
        for href in ["/?sort=data\"", "/?sort=data&amp;page=3\""] {
            assert!(html.contains(href), "{href}: {html}");
        }
        assert!(html.contains("Page 2 of 3"), "{html}");
        assert!(pages(&Page::of(vec![1], 0), &wanted, "/").is_none());
    }
}
