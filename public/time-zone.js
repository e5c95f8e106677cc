// On the account page: offers the browser's time zone first in the list of time zones. Without it the list is complete.
(function () {
  var list = document.querySelector("select[data-time-zones]"), zone = "";
  try { zone = Intl.DateTimeFormat().resolvedOptions().timeZone || ""; } catch (e) { /* an old browser */ }
  if (!list || !zone || list.value === zone) return;
  var group = document.createElement("optgroup");
  group.label = "This browser";
  group.appendChild(new Option(zone.replace(/_/g, " "), zone));
  list.insertBefore(group, list.firstChild);
})();
