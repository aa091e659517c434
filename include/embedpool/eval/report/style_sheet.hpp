#pragma once
#include <string_view>

namespace embedpool::report {

/// How a report looks: one column that is easy to read, light or dark as the reader's system is; on paper black on white,
/// figures whole.
inline constexpr std::string_view style_sheet = R"(:root{--page:#fff;--ink:#1b1b1f;--faint:#5c5f66;--line:#d5d7dc;--tint:#f4f5f7;--link:#0b5cad}
@media screen and (prefers-color-scheme:dark){:root{--page:#16181c;--ink:#e6e7ea;--faint:#a3a7b0;--line:#3a3e46;--tint:#1f2228;--link:#7db8f5}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:72rem;margin:0 auto;padding:2rem 1rem 4rem}
h1{font-size:1.8rem;line-height:1.2;margin:0 0 1rem;overflow-wrap:anywhere}
h2{font-size:1.3rem;line-height:1.25;margin:2.5rem 0 .75rem;padding-bottom:.25rem;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
h3{font-size:1.05rem;margin:1.75rem 0 .5rem;overflow-wrap:anywhere}
p,ul,pre{margin:0 0 1rem}
p,li{max-width:46rem;overflow-wrap:anywhere}
ul{padding-left:1.4rem}
a{color:var(--link)}
nav ul{display:flex;flex-wrap:wrap;gap:.15rem 1.25rem;list-style:none;padding:.6rem .9rem;background:var(--tint);border-radius:.4rem;font-size:.92rem}
pre{overflow-x:auto;background:var(--tint);border-radius:.4rem;padding:.7rem .9rem;font:.85rem/1.5 ui-monospace,Consolas,"DejaVu Sans Mono",monospace}
figure{margin:1.25rem 0 1.75rem}
figcaption{color:var(--faint);font-size:.9rem;max-width:46rem;margin:.4rem 0 0}
figure.table figcaption{margin:0 0 .4rem;color:var(--ink);font-weight:600}
.scroll{overflow-x:auto}
.scroll svg{display:block}
table{border-collapse:separate;border-spacing:0;font-size:.9rem;line-height:1.35;font-variant-numeric:tabular-nums;border-bottom:1px solid var(--line)}
th,td{padding:.3rem .5rem;text-align:right;vertical-align:top;white-space:nowrap}
th:first-child{text-align:left;white-space:normal;overflow-wrap:break-word;min-width:6rem;max-width:22rem;position:sticky;left:0;background:var(--page)}
.words{text-align:left}
thead th{vertical-align:bottom;white-space:normal;border-top:1px solid var(--line);border-bottom:1px solid var(--line);font-weight:600}
tbody th{font-weight:400}
tbody tr:nth-child(even)>*{background:var(--tint)}
@media screen and (max-width:40rem){main{padding-top:1.25rem}h1{font-size:1.45rem}th:first-child{max-width:42vw}}
@page{margin:16mm 14mm}
@media print{body{font-size:10.5pt}main{max-width:none;padding:0}nav{display:none}.scroll,pre{overflow:visible}pre{white-space:pre-wrap}
table{font-size:7.5pt}th,td{padding:.15rem .3rem;overflow-wrap:break-word}th{white-space:normal}th:first-child{position:static;min-width:0}thead{display:table-header-group}
tr,figure:not(.table),pre{break-inside:avoid}h2,h3,figcaption{break-after:avoid}.scroll svg{min-width:0!important}
svg,tr *{print-color-adjust:exact;-webkit-print-color-adjust:exact}a{color:inherit}}
)";

}  // namespace embedpool::report
