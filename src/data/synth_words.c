/*
 * synth_words.c: the words the synthetic world is made of. Common given names and surnames of several languages, places, firms and
 * things; every combination of them is invented. Some carry letters outside ASCII, so that offsets in code points are put to the test.
 */
#include "data/synth.h"

const char *const ul_synth_first[] = {
        "Ada", "Adam", "Agnes", "Aisha", "Alan", "Alice", "Amara", "Amir", "Ana", "Anders", "Anita", "Anton", "Arjun", "Astrid", "Aylin", "Beatriz",
        "Benno", "Bianca", "Björn", "Boris", "Bruno", "Camila", "Carl", "Carmen", "Cecilia", "Chen", "Chiara", "Clara", "Colin", "Dalia", "Daniel",
        "Darya", "David", "Delia", "Deniz", "Diego", "Dmitri", "Dora", "Edith", "Edgar", "Elena", "Elias", "Elin", "Emil", "Emma", "Enzo", "Erik",
        "Esme", "Esther", "Eva", "Fatima", "Felix", "Fiona", "Flora", "Frank", "Freya", "Gabriel", "Gemma", "George", "Gita", "Grace", "Greta", "Hana",
        "Hannes", "Harriet", "Hassan", "Hedda", "Helen", "Hugo", "Ida", "Igor", "Ilse", "Imani", "Ines", "Ingrid", "Irene", "Isaac", "Ivan", "Jakob",
        "Jana", "Jasper", "Jelena", "Joan", "Jonas", "Jorge", "José", "Judith", "Julia", "Kaito", "Karim", "Karin", "Kenji", "Kira", "Klara", "Lars",
        "Laura", "Leila", "Lena", "Leo", "Lidia", "Linnea", "Lorenzo", "Lucia", "Ludwig", "Lukas", "Maja", "Malik", "Marco", "Maren", "Maria", "Marta",
        "Matteo", "Maya", "Mehmet", "Mila", "Mina", "Miriam", "Nadia", "Naomi", "Nestor", "Nils", "Nina", "Noah", "Nora", "Olga", "Oliver", "Omar",
        "Oscar", "Otto", "Pablo", "Paula", "Petra", "Pilar", "Priya", "Quentin", "Rafael", "Rania", "Ravi", "Rosa", "Ruben", "Ruth", "Samir", "Sara",
        "Selma", "Signe", "Simon", "Sofia", "Stefan", "Tamara", "Tariq", "Tessa", "Theo", "Tilda", "Tomás", "Ursula", "Vera", "Viktor", "Wanda", "Yara",
        "Yusuf", "Zoë", NULL};

const char *const ul_synth_last[] = {
        "Abbott", "Acosta", "Adler", "Aguilar", "Ahlberg", "Aksoy", "Albrecht", "Almeida", "Amari", "Andersen", "Arslan", "Ashford", "Bakker", "Balint",
        "Banerjee", "Barlow", "Basara", "Bauer", "Becker", "Bellini", "Bennett", "Berger", "Bergström", "Bianchi", "Blanco", "Bondar", "Bonnet", "Borges",
        "Brandt", "Braun", "Brennan", "Bruckner", "Caldwell", "Calvo", "Cardoso", "Carver", "Castillo", "Chandra", "Chevalier", "Christie", "Conti",
        "Corbett", "Costa", "Cruz", "Dahl", "Darwish", "Delgado", "Demir", "Dijkstra", "Dobson", "Dubois", "Dvorak", "Eckert", "Ekman", "Ellison",
        "Engel", "Eriksen", "Falk", "Farouk", "Ferrari", "Fischer", "Fontaine", "Forsberg", "Franco", "Fujita", "Galli", "Garnier", "Gomes", "Graf",
        "Greco", "Gruber", "Guerra", "Haddad", "Hagen", "Halloran", "Hansen", "Harker", "Hartmann", "Hayashi", "Hedlund", "Herrera", "Hoffman", "Holm",
        "Horvat", "Hughes", "Ibsen", "Iyer", "Jansen", "Jensen", "Jovanovic", "Kaplan", "Karlsson", "Kaya", "Keller", "Kessler", "Khalil", "Kimura",
        "Klein", "Kowalski", "Kramer", "Krause", "Kumar", "Lambert", "Landau", "Larsen", "Laurent", "Lehmann", "Leone", "Lindgren", "Lombardi", "Lopes",
        "Lund", "Maier", "Malone", "Mansour", "Marchetti", "Marin", "Markovic", "Martel", "Mendes", "Mercer", "Meyer", "Miranda", "Molina", "Moreau",
        "Moretti", "Morgan", "Moss", "Müller", "Nakamura", "Navarro", "Neumann", "Nguyen", "Nielsen", "Novak", "Núñez", "Nyberg", "Oakes", "Okafor",
        "Olsen", "Ortega", "Osman", "Otero", "Ozturk", "Palmer", "Pappas", "Parisi", "Patel", "Pereira", "Petrov", "Pinto", "Popescu", "Prescott",
        "Quintero", "Rahman", "Ramos", "Rasmussen", "Reed", "Richter", "Rinaldi", "Rivera", "Romano", "Rossi", "Rousseau", "Ruiz", "Sandoval", "Santos",
        "Sato", "Schmidt", "Schwarz", "Seidel", "Serrano", "Sharma", "Silva", "Sjöberg", "Soares", "Solberg", "Sorensen", "Steiner", "Stone", "Suzuki",
        "Szabo", "Tanaka", "Tavares", "Teixeira", "Thorne", "Torres", "Uchida", "Vance", "Varga", "Vasquez", "Vega", "Vogel", "Wagner", "Walsh",
        "Weber", "Weiss", "Whitaker", "Winter", "Wolff", "Yamada", "Yildiz", "Zanetti", "Ziegler", "Zimmer", NULL};

const char *const ul_synth_city[] = {"Aldermoor", "Bexley Bay", "Carrowmere", "Dunmarsh", "Eastholm", "Fairwater", "Glenhaven", "Harrowgate", "Ilmstad",
        "Juniper Falls", "Kestrel Point", "Larkfield", "Millbrook", "Norhaven", "Oakminster", "Pinewick", "Quarry Hill", "Ravensford", "Saltmarsh", "Thornbury",
        "Umberleigh", "Valmora", "Westering", "Yarrowdale", NULL};
const char *const ul_synth_region[] = {"the Northern Coast", "the Lake District", "the High Plains", "the Southern Isles", "the River Valley", "the Old Forest", NULL};
const char *const ul_synth_job[] = {"teacher", "nurse", "carpenter", "accountant", "pilot", "baker", "lawyer", "chemist", "plumber", "librarian", "architect",
        "farmer", "translator", "electrician", "dentist", "gardener", "surveyor", "welder", "journalist", "optician", "tailor", "geologist", "midwife", "brewer", NULL};
const char *const ul_synth_firm[] = {"Harbour Optics", "Bluestone Mills", "Cobalt Freight", "Delta Ceramics", "Elm Street Clinic", "Falcon Printing", "Granite Bank",
        "Heron Textiles", "Ivory Analytics", "Jade Foods", "Kiln and Sons", "Lantern Energy", "Meridian Rail", "Nimbus Radio", "Orchard Dairy", "Prism Glass",
        "Quill Press", "Redwood Tools", "Silverline Ferries", "Tidewater Salvage", NULL};
const char *const ul_synth_trade[] = {"shipping", "food", "printing", "medicine", "energy", "textiles", "glass", "finance", NULL};
const char *const ul_synth_hobby[] = {"chess", "sailing", "pottery", "cycling", "birdwatching", "climbing", "knitting", "astronomy", "fencing", "beekeeping", "archery",
        "juggling", "origami", "rowing", "calligraphy", "skating", "fishing", "puppetry", "surfing", "gliding", NULL};
const char *const ul_synth_food[] = {"lentil soup", "mushroom risotto", "apple pie", "fish curry", "roast duck", "onion tart", "potato dumplings", "rice pudding",
        "beef stew", "pumpkin bread", "lemon cake", "seaweed salad", "cheese fondue", "bean chili", "plum cobbler", "noodle broth", NULL};
const char *const ul_synth_pet[] = {"a parrot", "a tortoise", "a grey cat", "a sheepdog", "a ferret", "a goldfish", "two rabbits", "a canary", "a gecko", "a pony",
        "a hedgehog", "three hens", "a poodle", "a snake", "a goat", "a newt", NULL};
const char *const ul_synth_music[] = {"the cello", "the trumpet", "the harp", "the banjo", "the oboe", "the drums", "the piano", "the fiddle", "the flute", "the tuba",
        "the accordion", "the sitar", "the bassoon", "the lute", "the clarinet", "the organ", NULL};
const char *const ul_synth_school[] = {"Ashgrove College", "Bellwether Institute", "Cedar University", "Dovecote Academy", "Everett School", "Foxglove College",
        "Gilmore University", "Hollis Institute", "Ingram Academy", "Keswick School", "Linden University", "Marlow College", NULL};
const char *const ul_synth_street[] = {"Maple Street", "Station Road", "Mill Lane", "Church Street", "Park Avenue", "Bridge Street", "Elm Road", "High Street",
        "Garden Lane", "Canal Street", "School Road", "Orchard Avenue", "River Road", "Chapel Lane", "Forest Avenue", "Market Street", NULL};
const char *const ul_synth_month[] = {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December", NULL};
const char *const ul_synth_domain[] = {"example.com", "example.org", "example.net", "mail.example", "post.example", "letters.example", NULL};
const char *const ul_synth_area[] = {"212", "303", "312", "404", "415", "503", "512", "602", "617", "702", "713", "802", "816", "907", "919", "971", NULL};

/* Sentences of general.jsonl: {city} {firm} {food} {month} {job} {pet} {music} {hobby} {street} {n} are drawn uniformly. */
const char *const ul_synth_general[] = {
        "The market in {city} opens at {n} in the morning and sells {food}.",
        "In {month} it rains on {n} days in {city}, and the wind comes from the sea.",
        "A {job} needs good tools, a steady hand and about {n} years of practice.",
        "The train from {city} to {city} takes {n} hours and stops at {city}.",
        "To make {food}, heat the pan, stir for {n} minutes and serve it warm.",
        "The {hobby} club of {city} meets on {street} every {n} days.",
        "Last {month} the museum of {city} showed {n} old maps and {music} from the last century.",
        "The shop on {street} closes at {n} in the evening, except in {month}.",
        "{firm} will open a new office in {city} with {n} desks in {month}.",
        "Children in {city} like {hobby}, and many of them play {music}.",
        "The weather in {city} was cold in {month}, and snow lay for {n} days.",
        "A ticket to the concert costs {n} coins, and {music} is played last.",
        "The road to {city} was closed for {n} days, so buses went by {city}.",
        "{firm} sold {n} crates of goods in {month}, more than the year before.",
        "At the fair in {city} one can see {pet} and eat {food}.",
        "The library on {street} lends {n} books at a time, and {hobby} books are popular.",
        NULL};
