"use strict";
history.replaceState = function () {};
addEventListener("resize", function (event) {
  if (innerWidth <= 20) event.stopImmediatePropagation();
}, true);
addEventListener("load", function () {
  var seen = new ResizeObserver(function () {
    if (innerWidth <= 20) return;
    seen.disconnect();
    init();
  });
  seen.observe(document.documentElement);
});
