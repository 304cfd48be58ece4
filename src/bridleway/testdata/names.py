"""Lists of the made-up town: names of several origins and accents, areas, streets, conditions."""

from __future__ import annotations

FIRST = (
    "Ada", "Agnieszka", "Aidan", "Aisha", "Ama", "Amélie", "Amir", "Ana", "Anil", "Anaïs", "Arjun",
    "Ayşe", "Beata", "Ben", "Björn", "Bronagh", "Caoimhe", "Catrin", "Chidi", "Chloë", "Daniel",
    "Deepa", "Dylan", "Efua", "Elin", "Emre", "Esther", "Eun-ji", "Farah", "Fatima", "Femi",
    "Fiona", "François", "Gareth", "Grace", "Hanna", "Haruto", "Hye-jin", "Idris", "Ines", "Ioan",
    "Iqra", "Isla", "Jack", "Jakub", "Joanna", "José", "Joy", "Kamal", "Kofi", "Kwame", "Lakshmi",
    "Lena", "Lian", "Liam", "Łukasz", "Mairead", "Malik", "Margaret", "María", "Mei", "Mohammed",
    "Myrtle", "Ngozi", "Niamh", "Noah", "Noor", "Núria", "Oisín", "Olga", "Olu", "Oscar", "Padma",
    "Peter", "Pooja", "Rafał", "Rhys", "Rosa", "Ruth", "Sadia", "Samuel", "Seán", "Seren", "Siân",
    "Sofía", "Søren", "Sunita", "Tariq", "Thu", "Tolu", "Tomasz", "Uzma", "Viktor", "Wei", "Yasmin",
    "Yuki", "Zainab", "Zoë",
)  # fmt: skip
LAST = (
    "Abbott", "Achebe", "Ahmed", "Ali", "Andersen", "Baker", "Begum", "Bennett", "Bhatt", "Brown",
    "Byrne", "Campbell", "Chan", "Chaudhry", "Chen", "Clarke", "Cohen", "Costa", "Davies", "Diallo",
    "Edwards", "Evans", "Fernández", "Fraser", "García", "Ghosh", "Green", "Gruffydd", "Hall",
    "Hassan", "Hughes", "Hussain", "Ibrahim", "Iyer", "Jackson", "Jones", "Kamara", "Kaur", "Khan",
    "Kim", "Kovács", "Kowalski", "Kumar", "Lee", "Lewis", "Lindqvist", "Lloyd", "MacDonald",
    "Mahmood", "Martin", "Mensah", "Miller", "Morgan", "Müller", "Murphy", "Nair", "Nguyễn",
    "Novák", "Nowak", "Ó Briain", "O'Connor", "Okafor", "Okoye", "Osei", "Owen", "Owusu", "Park",
    "Patel", "Peña", "Phillips", "Popescu", "Quinn", "Rahman", "Rees", "Reid", "Robinson", "Rossi",
    "Roy", "Ryan", "Santos", "Schmidt", "Shah", "Singh", "Smith", "Stewart", "Suzuki", "Taylor",
    "Thomas", "Tran", "Turner", "Usman", "Walker", "Wang", "Williams", "Wilson", "Wójcik", "Wright",
    "Yılmaz", "Young", "Zhang",
)  # fmt: skip
AREAS = (
    "Abbey Rise", "Bridge End", "Castle Hill", "Docklands", "Eastmoor", "Fernbank", "Gatehouse",
    "Harbour", "Ings", "Kingsmead", "Lower Town", "Millrace",
)  # fmt: skip
# Share of the town's people, and deprivation from 0 (none) to 1.
AREA_SHARES = (0.14, 0.13, 0.12, 0.11, 0.1, 0.1, 0.09, 0.08, 0.07, 0.045, 0.011, 0.004)
AREA_DEPRIVATION = (0.35, 0.75, 0.2, 0.85, 0.6, 0.3, 0.5, 0.7, 0.4, 0.25, 0.55, 0.1)
WARDS_PER_AREA = 4
STREETS = (
    "Alder", "Beacon", "Chapel", "Drovers", "Elm", "Ferry", "Garden", "Hawthorn", "Ivy", "Jubilee",
    "Kiln", "Long", "Market", "North", "Orchard", "Priory", "Quarry", "Rope", "Station", "Tanners",
)  # fmt: skip
STREET_KINDS = ("Street", "Road", "Lane", "Avenue", "Close", "Way", "Terrace", "Court")
# An area code that is not in use (and unlike ZZ has the shape of a postcode).
POSTCODE_AREA = "ZX"
# ICD-10: asthma, type 2 diabetes, depression, coronary heart disease, knee arthritis, COPD.
CONDITIONS = ("J45", "E11", "F32", "I25", "M17", "J44")
