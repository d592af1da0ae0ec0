// Takes what a link carried out of the address bar: the page that answers a wrong link stays where it was asked.

if (location.search) history.replaceState(null, "", location.pathname);
