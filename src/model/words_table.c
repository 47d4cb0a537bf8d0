// The built-in vocabulary: the terms of PS3.16, Annex L (Body Part Examined), and what people write in the usual
// languages. A part is not listed with words that mean something else as often ("cap" is chest, abdomen, pelvis before
// it is a head in Romanian).
#include "model/words_table.h"

#include <stddef.h>

const struct words_part words_parts[] = {
    {"WHOLEBODY", "*",
     "wholebody, whole body, total body, ganzkörper, corps entier, cuerpo entero, cuerpo completo, corpo inteiro, "
     "total corpo, trunk, rumpf, 全身, 전신"},
    {"HEAD", "",
     "head, headneck, head neck, cct, kopf, köpfe, kopfhals, kraniell, kranielles, craniale, cranial, craniales, "
     "cranien, cranienne, tête, testa, capo, cabeza, cabeça, hoofd, schedelhersenen, głowa, głowy, голова, "
     "головы, голове, κεφάλι, κεφαλή, κεφαλής, κεφαλιού, huvud, huvudet, hode, hodet, hoved, hovedet, hlava, "
     "hlavy, hlavu, kafa, pää, pään, fej, 头, 頭, 头部, 頭部, 머리, 두부, ศีรษะ, رأس, الرأس, ראש, सिर, craneal, "
     "craneale, "
     "craneales, kraniyal, kraniales, ctb, cth"},
    {"SKULL", "HEAD",
     "skull, cranium, neurocranium, calvaria, calvarium, schädel, neurokranium, hirnschädel, schädelhirntrauma, "
     "schädelbasis, crâne, cráneo, crânio, cranio, teschio, schedel, czaszka, czaszki, череп, черепа, κρανίο, "
     "κρανίου, skalle, kranium, kallo, lebka, lebky, koponya, kafatası, craniu, 颅, 顱, 头颅, 頭蓋, 두개골, กะโหลก, "
     "جمجمة, "
     "الجمجمة, גולגולת, खोपड़ी"},
    {"BRAIN", "HEAD",
     "brain, cerebral, cerebrum, cerebro, cerebri, intracerebral, intracranial, encephalon, encephalic, "
     "neurocrane, hirn, gehirn, grosshirn, hirnstamm, zerebral, zerebrale, zerebrales, intrakraniell, cerveau, "
     "encéphale, encéphalique, cérébral, cérébrale, cérébraux, cervello, encefalo, cerebrale, cerebrales, "
     "cerebrais, encéfalo, cérebro, hersenen, mózg, mózgu, мозг, мозга, головной мозг, головного мозга, "
     "εγκέφαλος, εγκεφάλου, hjärna, hjärnan, hjerne, hjernen, aivot, aivojen, mozek, mozku, mozog, agy, beyin, "
     "creier, 脑, 腦, 脳, 뇌, สมอง, دماغ, الدماغ, מוח, मस्तिष्क, craneoencefálico, cranioencefálico, encefálico, "
     "encefálica"},
    {"CEREBELLUM", "BRAIN", "cerebellum, kleinhirn, cervelet, cervelletto, cerebelo"},
    {"CIRCLEOFWILLIS", "BRAIN", "circleofwillis, circle of willis, circulus willisii"},
    {"PITUITARY", "BRAIN", "pituitary, sella, hypophyse, hypophysis, ipofisi, hipófisis, hipófise"},
    {"FACE", "",
     "face, facial, facial bones, maxillofacial, gesicht, gesichtsschädel, viscerocranium, mittelgesicht, "
     "massif facial, cara, volto, viso, лицо, 颌面, 顔面"},
    {"SINUS", "",
     "sinus, sinuses, paranasal sinuses, psinus, nnh, nasennebenhöhlen, senos paranasales, seni paranasali, "
     "seios da face, seios paranasais, neusbijholten, sinussen, zatoki, zatok, пазухи носа, околоносовые пазухи, "
     "околоносовых пазух, придаточные пазухи, придаточных пазух, ппн, bihålor, bihulene, 鼻窦, 副鼻腔, 부비동"},
    {"NOSE", "", "nose, nasal bone, nasenbein, nez, naso, nariz, 鼻骨"},
    {"ORBIT", "",
     "orbit, orbits, orbita, orbitas, orbitae, orbite, orbites, órbita, órbitas, oczodoły, oczodołów, орбита, орбиты, "
     "глазницы, глазниц, 眼眶, 眼窩, 안와"},
    {"EYE", "", "eye, eyes, auge, augen, œil, yeux, occhio, ojo, olho, eyelid, cornea, sclera"},
    {"EAR", "",
     "ear, ears, inner ear, middle ear, temporal bone, temporal bones, petrous bone, petrous bones, petrous, mastoid, "
     "mastoids, cochlea, felsenbein, felsenbeine, innenohr, mittelohr, mastoide, oreille, oreilles, rocher, rochers, "
     "orecchio, orecchie, rocca petrosa, rocche petrose, oído, oídos, peñasco, peñascos, ouvido, ouvidos, rotsbeen, "
     "rotsbeenderen, ucho, kość skroniowa, kości skroniowe, kości skroniowych, височная кость, височные кости, "
     "височных костей, öra, tinningben, 耳, 颞骨, 側頭骨"},
    {"IAC", "", "iac, iacs, internal auditory canal, internal auditory canals, kleinhirnbrückenwinkel"},
    {"JAW", "",
     "jaw, mandible, maxilla, maxillary, tmj, kiefer, oberkiefer, unterkiefer, kiefergelenk, mandibule, "
     "mandíbula, mandibola, mascella, maxilar, dental, dentaire, dentale, teeth, zähne, zahn, gebiss, kaak, gebit, "
     "żuchwa, zęby, челюсть, челюсти, зубы, зубов, käke, 顎, 齿, 歯, 치아"},
    {"MOUTH", "", "mouth, oral cavity, tongue, zunge, mundhöhle"},
    {"PAROTID", "", "parotid, parotis, submandibular"},
    {"NECK", "",
     "neck, headneck, neckchest, neckchestabdomen, neckchestabdpelv, soft tissue neck, hals, kopfhals, "
     "halsweichteile, cou, collo, cuello, pescoço, nek, szyja, szyi, шея, шеи, λαιμός, τράχηλος, nacke, krk, "
     "boyun, nyak, 颈, 頸, 颈部, 頸部, 경부, คอ"},
    {"CAROTID", "NECK", "carotid, carotids, karotis, karotiden, carotide, carótida, carótidas"},
    {"LARYNX", "NECK", "larynx, kehlkopf, laringe"},
    {"PHARYNX", "NECK", "pharynx, rachen, faringe"},
    {"THYROID", "NECK", "thyroid, schilddrüse, thyroïde, tiroide, tiroides"},
    {"CHEST", "",
     "chest, thorax, thoracic, thoraces, chestabdomen, chestabdpelvis, neckchest, neckchestabdomen, "
     "neckchestabdpelv, cap, chest abdomen, brustkorb, torax, tórax, torace, thorakal, poitrine, pecho, petto, "
     "klatka piersiowa, klatki piersiowej, грудная клетка, грудной клетки, огк, θώρακας, θώρακα, bröstkorg, "
     "hrudník, hrudniku, göğüs, mellkas, toraks, 胸, 胸部, 흉부, ทรวงอก, الصدر, חזה"},
    {"LUNG", "CHEST",
     "lung, lungs, pulmonary, lunge, lungen, poumon, poumons, polmone, polmoni, pulmón, pulmones, pulmão, "
     "pulmões, longen, płuca, płuc, легкие, легких, πνεύμονες, lungor, plíce, akciğer, tüdő, 肺, 폐, ปอด"},
    {"HEART", "CHEST",
     "heart, cardiac, herz, kardial, cœur, cuore, corazón, coração, serce, serca, сердце, сердца, καρδιά, hjärta, "
     "hjerte, srdce, szív, 心, 心臓, 心脏, 심장, หัวใจ"},
    {"CORONARYARTERY", "HEART",
     "coronaryartery, coronary artery, coronary arteries, coronary, coronaries, koronarien, koronar, coronarie, "
     "coronarias, coronaires, ccta"},
    {"MEDIASTINUM", "CHEST", "mediastinum, mediastinal"},
    {"BRONCHUS", "CHEST", "bronchus, bronchi"},
    {"TRACHEA", "CHEST", "trachea"},
    {"ESOPHAGUS", "CHEST", "esophagus, oesophagus, ösophagus"},
    {"RIB", "CHEST", "rib, ribs, rippen, côtes, costillas"},
    {"STERNUM", "CHEST", "sternum"},
    {"THYMUS", "CHEST", "thymus"},
    {"AORTA", "", "aorta, aortic, aorte"},
    {"BREAST", "", "breast, breasts, mamma, mammae, brust, mama, mamas, borst, pierś, молочная железа, 乳房"},
    {"AXILLA", "", "axilla, achsel"},
    {"ABDOMEN", "",
     "abdomen, abdominal, abdomenpelvis, abdomen pelvis, abdpelvis, chestabdomen, chestabdpelvis, "
     "neckchestabdomen, neckchestabdpelv, cap, chest abdomen, belly, oberbauch, bauch, unterbauch, ventre, "
     "addome, addominale, abdómen, vientre, buik, brzuch, brzucha, jama brzuszna, jamy brzusznej, "
     "брюшная полость, брюшной полости, обп, живот, κοιλιά, κοιλία, κοιλίας, buk, břicho, břicha, karın, batın, "
     "腹, 腹部, 복부, ช่องท้อง, البطن, בטן"},
    {"LIVER", "ABDOMEN",
     "liver, hepatic, leber, foie, fegato, hígado, fígado, wątroba, wątroby, печень, печени, ήπαρ, játra, "
     "karaciğer, máj, 肝, 간, ตับ"},
    {"GALLBLADDER", "ABDOMEN", "gallbladder, gallenblase, mrcp, biliary, colecisti, vesícula"},
    {"PANCREAS", "ABDOMEN",
     "pancreas, pancreatic, pankreas, bauchspeicheldrüse, páncreas, pâncreas, pancréas, "
     "поджелудочная железа, trzustka, trzustki, 胰, 膵, 췌장, ตับอ่อน"},
    {"KIDNEY", "ABDOMEN",
     "kidney, kidneys, renal, niere, nieren, reins, reni, riñón, riñones, nerki, почки, почек, 肾, 腎, 신장, ไต"},
    {"SPLEEN", "ABDOMEN", "spleen, splenic, milz, milza, bazo, baço"},
    {"STOMACH", "ABDOMEN", "stomach, gastric, magen, estomac, stomaco, estómago, estômago"},
    {"DUODENUM", "ABDOMEN", "duodenum"},
    {"JEJUNUM", "ABDOMEN", "jejunum"},
    {"ILEUM", "ABDOMEN", "ileum, small bowel, dünndarm, enterography"},
    {"COLON", "ABDOMEN", "colon, colonography, kolon, côlon, dickdarm"},
    {"ADRENAL", "ABDOMEN", "adrenal, adrenals, nebenniere, nebennieren, surrénale, surrénales"},
    {"URETER", "ABDOMEN", "ureter, ureters, kub, urogram, urographie, urography"},
    {"PELVIS", "",
     "pelvis, pelvic, abdomenpelvis, abdomen pelvis, abdpelvis, chestabdpelvis, neckchestabdpelv, cap, becken, "
     "bassin, bacino, pelvi, bekken, miednica, miednicy, таз, таза, омт, πύελος, πυέλου, bäcken, pánev, pánve, "
     "leğen, pelvien, pelvienne, pelviana, pelvica, pélvica, 骨盆, 骨盤, 골반"},
    {"BLADDER", "PELVIS", "bladder, harnblase, vessie, vescica, vejiga, bexiga"},
    {"PROSTATE", "PELVIS", "prostate, prostata, próstata, простата, предстательная железа, 前列腺, 前立腺, 전립선"},
    {"UTERUS", "PELVIS", "uterus, cervix, gebärmutter, utérus, utero, útero"},
    {"OVARY", "PELVIS", "ovary, ovaries, ovar"},
    {"RECTUM", "PELVIS", "rectum, rectal, rektum, recto, retto"},
    {"SCROTUM", "PELVIS", "scrotum, testis, testes, hoden, penis"},
    {"SPINE", "",
     "spine, spinal, wirbelsäule, rachis, colonna, colonna vertebrale, columna, columna vertebral, coluna, "
     "coluna vertebral, wervelkolom, kręgosłup, kręgosłupa, позвоночник, позвоночника, σπονδυλική στήλη, ryggrad, "
     "páteř, páteře, omurga, gerinc, 脊柱, 脊椎, 척추, กระดูกสันหลัง"},
    {"CSPINE", "SPINE",
     "cspine, c spine, ctspine, cervical spine, cervical, hws, halswirbelsäule, rachis cervical, cervicale, "
     "rachide cervicale, columna cervical, coluna cervical, шоп, 颈椎, 頸椎, 경추"},
    {"TSPINE", "SPINE",
     "tspine, t spine, ctspine, tlspine, thoracic spine, dorsal spine, bws, brustwirbelsäule, rachis dorsal, "
     "columna dorsal, coluna dorsal, гоп, 胸椎, 흉추"},
    {"LSPINE", "SPINE",
     "lspine, l spine, lsspine, tlspine, lumbar spine, lumbar, lumbosacral, lws, lendenwirbelsäule, "
     "rachis lombaire, lombaire, lombare, columna lumbar, coluna lombar, поп, 腰椎, 요추"},
    {"SSPINE", "SPINE", "sspine, lsspine, sacrum, sacral, coccyx, sakrum, kreuzbein, 骶椎, 仙骨"},
    {"EXTREMITY", "",
     "extremity, extremities, extremität, extremitäten, lower extremity, upper extremity, lowerlimb, upperlimb, "
     "lower limb, upper limb, membre, membri, extremidad"},
    {"HIP", "EXTREMITY",
     "hip, hips, hüfte, hüftgelenk, hanche, hanches, anca, anche, cadera, caderas, quadril, heup, biodro, "
     "staw biodrowy, тазобедренный сустав, ισχίο, höft, hofte, kyčel, kalça, csípő, 髋, 股関節, 고관절"},
    {"FEMUR", "EXTREMITY", "femur, thigh, oberschenkel, cuisse, fémur, femore, coscia, muslo, dijbeen, 股骨, 大腿"},
    {"KNEE", "EXTREMITY",
     "knee, knees, patella, knie, kniegelenk, genou, genoux, ginocchio, ginocchia, rodilla, rodillas, joelho, "
     "kolano, kolana, колено, коленный сустав, γόνατο, knä, kne, knæ, koleno, diz, térd, 膝, 무릎, เข่า"},
    {"LEG", "EXTREMITY",
     "leg, legs, calf, tibia, fibula, lower leg, unterschenkel, jambe, jambes, gamba, gambe, pierna, perna, "
     "onderbeen, голень, 小腿, 下腿"},
    {"ANKLE", "EXTREMITY",
     "ankle, ankles, sprunggelenk, osg, cheville, caviglia, tobillo, tornozelo, enkel, 踝, 足関節, 발목"},
    {"FOOT", "EXTREMITY",
     "foot, feet, calcaneus, toe, toes, heel, fuss, füsse, vorfuss, pied, pieds, piede, piedi, pie, pies, pé, "
     "voet, stopa, stopy, стопа, стопы, fot, fod, noha, ayak, 足, 발"},
    {"SHOULDER", "EXTREMITY",
     "shoulder, shoulders, clavicle, scapula, schulter, schultergelenk, épaule, épaules, spalla, spalle, hombro, "
     "ombro, schouder, bark, barku, плечевой сустав, ώμος, axel, skulder, rameno, omuz, 肩, 어깨"},
    {"HUMERUS", "EXTREMITY", "humerus, upper arm, oberarm, humérus, omero, húmero, úmero, 肱骨, 上腕"},
    {"ELBOW", "EXTREMITY",
     "elbow, elbows, ellbogen, ellenbogen, coude, gomito, codo, cotovelo, elleboog, łokieć, локоть, 肘"},
    {"ARM", "EXTREMITY",
     "arm, arms, forearm, radius, ulna, unterarm, avant bras, avambraccio, antebrazo, antebraço, 前臂, 前腕"},
    {"WRIST", "EXTREMITY",
     "wrist, wrists, handgelenk, poignet, polso, muñeca, punho, pols, nadgarstek, запястье, 腕, 手関節, 손목"},
    {"HAND", "EXTREMITY",
     "hand, hands, finger, fingers, thumb, hände, daumen, mains, mano, mani, manos, mão, mãos, dłoń, кисть, χέρι, "
     "ruka, kéz, 手"},
    {NULL, NULL, NULL},
};

const char *const words_heads =
    "head, heads, neck, necks, kopf, hals, tête, têtes, testa, cabeza, cuello, cabeça, collo, głowa, głowy, "
    "caput, collum, 头, 頭, 두";

const char *const words_owners_before =
    "femoral, femur, femurs, humeral, humerus, radial, radius, ulnar, ulna, fibular, fibula, metatarsal, "
    "metacarpal, talar, talus, mandibular, mandible, condylar, pancreas, pancreatic, bladder, gallbladder, "
    "aneurysm, uterine, surgical, anatomical, anatomic, pankreas, oberschenkel, schenkel, hüft, hüftgelenks, "
    "oberarm, speichen, tibia, tibial, heup, 骨, 胰, 膵, 喉, 咽, 乳, 골, 췌장, 인, 후";

const char *const words_owners_after =
    "femoral, femorale, fémorale, fémorales, femorali, femorales, femoris, humerale, humérale, humérales, "
    "humeral, humeri, omerale, omerali, radiale, radial, radii, radialis, fibulae, tali, pancréatique, "
    "pancreatica, pancreática, métatarsienne, metatarsiana, ulnae, mandibulae, pancreatis, trzustki, "
    "kości udowej, kości ramiennej, kości promieniowej, 静脈, 静脉, 臂";

const char *const words_owners_of =
    "femur, femurs, femoral, fémur, femore, humerus, humérus, húmero, umero, úmero, omero, radius, radio, rádio, "
    "ulna, fibula, fibular, péroné, peroné, perone, talus, mandible, metatarsal, metatarsals, metacarpal, "
    "metacarpals, pancreas, pancréas, páncreas, pâncreas, pankreas, bladder, gallbladder, bed, table, "
    "department, section, heup";

const char *const words_genitives = "of, du, de, des, d, del, della, delle, dello, dell, do, da, dos, das, der, van, z";

const char *const words_sides =
    "the, left, right, both, l, r, lt, rt, la, le, las, los, les, el, il, lo, links, rechts, linken, rechten, "
    "gauche, droit, droite, izquierdo, derecho, izquierda, derecha, esquerdo, direito, sinistro, destro, linker, "
    "rechter, het, de, proximal, distal, 1, 2, 3, 4, 5, st, nd, rd, th";

const char *const words_phrases =
    "head first, headfirst, head in, head out, head up, head down, head 1 st, feet first, feet in, foot first, "
    "head coil, head neck coil, body coil, knee coil, wrist coil, neck coil, shoulder coil, spine coil, "
    "head holder, head rest, head support, head physician, head nurse, head matrix, kopf voran, kopf zuerst, "
    "kopf spule, kopfspule, tete premiere, tete la premiere, pieds premiers, cabeza primero, testa avanti, "
    "skull to, skull base to, base of skull to, vertex to, eyes to, arms up, arms down, arm up, arm down, "
    "hand injection, hand held, chest wall lead, brain lab, brainlab, brain natriuretic, 头孢, face down, face up, "
    "body part, cranio caudal, cranial caudal, 头静脉, 頭静脈, 头臂, 頭臂";
