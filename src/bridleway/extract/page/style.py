"""How the page looks: dark on light, large enough, and plain on paper."""

STYLE = """
body{margin:0;background:#fff;color:#0b0c0c;font:19px/1.47 Arial,Helvetica,sans-serif}
main{max-width:960px;margin:0 auto;padding:24px 20px 60px}
h1{font-size:42px;line-height:1.1;margin:16px 0 24px}
h2{font-size:29px;line-height:1.2;margin:56px 0 14px;padding-top:14px;border-top:2px solid #b1b4b6}
h3{font-size:22px;margin:30px 0 8px}
p,ul{max-width:46em;margin:0 0 15px}
li{margin-bottom:5px}
.answer{border-left:8px solid #1d70b8;padding:2px 0 2px 18px;margin:0 0 24px}
.answer h2{border:0;margin:0 0 6px;padding:0;font-size:24px}
.answer p:last-child{margin-bottom:0}
.warn{border-left-color:#d4351c}
.table{overflow-x:auto;margin:0 0 24px}
.table:focus-visible{outline:3px solid #0b0c0c}
table{border-collapse:collapse;width:100%;font-size:16px;line-height:1.35}
caption{text-align:left;font-weight:bold;padding:6px 0}
th,td{text-align:left;vertical-align:top;padding:8px 14px 8px 0;border-bottom:1px solid #b1b4b6}
tbody th{font-weight:normal;min-width:8em;overflow-wrap:anywhere}
.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
td.number:last-child,th.number:last-child{padding-right:4px}
svg{display:block;max-width:100%;height:auto;margin:6px 0 18px}
svg text{font:14px Arial,Helvetica,sans-serif;fill:#0b0c0c}
.range{display:block;color:#383f43}
.small{font-size:16px;color:#383f43}
@media screen and (max-width:600px){
body{font-size:17px}h1{font-size:32px}h2{font-size:24px;margin-top:40px}.answer h2{font-size:21px}
svg text{font-size:17px}th,td{padding-right:10px}tbody th{min-width:6em}
.range{white-space:normal}
}
@media print{
body{font-size:11pt}main{max-width:none;padding:0}
h1{font-size:22pt}h2{font-size:15pt;margin-top:20pt}h3{font-size:12pt}
table,.small{font-size:9pt}svg{max-width:14cm}
h2,h3,caption{break-after:avoid}tr,svg,.answer{break-inside:avoid}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
"""
