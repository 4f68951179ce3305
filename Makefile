# Two commands on a fresh machine: `make demo` and `make test`. Both make their own virtual environment.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DATA   ?= ../shared/data
START  ?= ../shared/weights
UNSEEN ?= runs/differential_unseen/differential.safetensors
RESNET ?= $(START)/resnet18_imagenet_stem_to_layer3.safetensors

.PHONY: cloud-test cluster-cost cluster-test film large-film crowded-film sequential-reading openslide-test in-flight bad-inputs fuzz sizing lock sbom audit soak kill-test page demo test lint types docs unit integration weights blasts calibration measure tables measure-unseen measure-patients measure-new-laboratory left-out measure-lab graphs scan-only lodo nets stain seeds bench performance performance-page wheel clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/smearscan demo demo

test: demo lint types docs integration unit

# The review page's script and styles, from web/ into the package; both are committed, so that users need no node.
page:
	cd web && npm ci && npm run build

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

# The pages as a site, build/site/index.html; any warning ends it (--quiet would hide them from --strict). (The variable silences the theme's note on its successor.)
docs: $(VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Two processes: more would share the cores with each test's own threads, and each loads torch.
unit: $(VENV)/.installed
	$(BIN)/python -m pytest tests/unit -n 2 --dist worksteal

# Each training is tested in a process of its own: many trainings and OpenVINO engines in one process crash (seen, not
# yet understood); one training after scanning does not.
integration: $(VENV)/.installed
	$(BIN)/python -m pytest tests/integration/test_scan_drawn.py tests/integration/test_statistics_drawn.py \
	  tests/integration/test_real.py
	$(BIN)/python -m pytest tests/integration/test_classify_drawn.py tests/integration/test_leaks_real.py \
	  tests/integration/test_examples_run.py
	$(BIN)/python -m pytest tests/integration/test_same_answer.py tests/integration/test_no_network.py
	$(BIN)/python -m pytest tests/integration/test_review_page.py
	$(BIN)/python -m pytest tests/integration/test_notebooks.py
	for each in detector_is_retrained detector_is_accepted classifier_is_retrained ones_own protocol_is_run; do \
	  $(BIN)/python -m pytest tests/integration/test_train_small.py -k $$each || exit 1; done

# The shipped weights, made again from the data sets in DATA and the pretrained networks in START (see docs/data.md). Cells that the
# sets hold twice are brought to one side of the split before anything learns to name them.
weights: $(VENV)/.installed build/yolov8n.safetensors
	$(BIN)/python -m references published $(DATA) --out build/cells.csv
	$(BIN)/smearscan train detector --config configs/detector.yaml --data $(DATA) --start build/yolov8n.safetensors --out runs/detector
	$(BIN)/smearscan train detector --config configs/detector_finish.yaml --data $(DATA) \
	  --start runs/detector/detector.safetensors --out runs/detector_finish
	$(BIN)/smearscan train detector --config configs/detector_scale.yaml --data $(DATA) \
	  --start runs/detector_finish/detector.safetensors --out runs/detector_scale
	$(BIN)/python -m references without-coarsest-grid runs/detector_scale/detector.safetensors --out weights/detector.safetensors
	$(BIN)/python -m references published $(DATA) --out build/located.csv --detector runs/detector_finish/detector.safetensors
	-$(BIN)/smearscan dataset leaks build/located.csv --data $(DATA) --out docs/results/leaks_published.json --regroup build/grouped.csv
	$(BIN)/smearscan train classifier build/grouped.csv --config configs/differential.yaml --data $(DATA) --start $(RESNET) \
	  --out runs/differential
	cp runs/differential/differential.safetensors runs/differential/differential.yaml weights/
	$(MAKE) blasts graphs

# The net of fine types, on all sets, and the blast net: another last layer over the same body. What names slides of unknown stain has a
# body of its own: the mean of that one's weights and those of a training that sees form more than color, with last layers over it.
blasts: $(VENV)/.installed build/fine_grouped.csv
	for views in cells cells_views; do $(SMEARSCAN) train classifier build/fine_grouped.csv --config configs/$$views.yaml $(TRAINED) \
	  --start $(RESNET) --out runs/$$views || exit 1; done
	$(SMEARSCAN) train classifier build/fine_grouped.csv --config configs/blast.yaml $(TRAINED) --start runs/cells/cells.safetensors \
	  --out runs/blast
	$(BIN)/python -m references mean-weights runs/cells/cells.safetensors runs/cells_views/cells.safetensors --config configs/cells_unlike.yaml \
	  --cells build/fine_grouped.csv $(PICTURES) --out runs/cells_unlike/cells_unlike.safetensors
	for net in blast_unlike differential_unlike; do $(SMEARSCAN) train classifier build/fine_grouped.csv --config configs/$$net.yaml $(TRAINED) \
	  --start runs/cells_unlike/cells_unlike.safetensors --out runs/$$net || exit 1; done
	for net in cells blast cells_unlike blast_unlike differential_unlike; do cp runs/$$net/$$net.safetensors runs/$$net/$$net.yaml weights/ || exit 1; done
	$(BIN)/python -m references as-known weights/differential.safetensors weights/blast.safetensors

build/fine_grouped.csv: build/fine.csv
	-$(BIN)/smearscan dataset leaks $< --data $(DATA) --regroup $@ > /dev/null

build/yolov8n.safetensors: $(START)/yolov8n.pt $(VENV)/.installed
	$(BIN)/smearscan weights import $< --out $@

# The shipped networks as graphs that a scan compiles without torch; each is read back and compared, to the byte. After new weights.
graphs: $(VENV)/.installed
	$(BIN)/python -m references graphs > /dev/null

# A scan in an environment of its own without torch (requirements/scan.txt), cold: the same reports to the byte as here. Some minutes.
scan-only: $(VENV)/.installed
	$(BIN)/python tests/integration/scan_only.py build/scan_only

# The card of the shipped nets' errors: counted on the cells of the validation and test splits, which no net has learned. Fields whose
# diagnosis alone is known (Aria) name no cell. What is left out of trainings (make left-out, before) makes the card of unlike slides.
NAMED := $(foreach site,bccd cellavision jhu_aml jtsc munich_lmu pbc txl_raabin,--site $(site))
calibration: $(VENV)/.installed build/fine_grouped.csv
	$(BIN)/smearscan evaluate labeled build/fine_grouped.csv $(NAMED) --data $(DATA) --out build/labeled.csv
	$(BIN)/smearscan calibrate --cells build/labeled.csv --split val --split test --from-scratch --out weights/calibration.yaml \
	  $(foreach site,$(SITES),--left-out build/left_out/$(site).csv) \
	  --limit "most healthy cells with a patient's id come from patients with leukemia" \
	  --limit "sites without ids of patients count as one slide each" --limit "no lymphoid blast is among the labeled cells" \
	  --json docs/results/calibration.json --plot docs/reliability.png > /dev/null

# Every figure of the README, the pages and the cards; writes docs/results/*.json.
measure: $(VENV)/.installed
	$(BIN)/smearscan evaluate detector --config configs/detector.yaml --data $(DATA) \
	  --empty $(DATA)/rbc_only_fields --points configs/apml_counts.csv --points-images $(DATA)/apml_fields \
	  --out docs/results/detector.json --write-card > /dev/null
	$(BIN)/smearscan evaluate detector --config configs/detector.yaml --data $(DATA) --site bccd \
	  --scales 0.5,0.7,1.4,2 --clumps --out docs/results/detector_scales.json --write-card --key scales > /dev/null
	$(BIN)/smearscan evaluate classifier build/fine_grouped.csv --task differential --config configs/differential.yaml --data $(DATA) $(NAMED) \
	  --out docs/results/differential.json --write-card > /dev/null
	$(BIN)/smearscan evaluate classifier build/fine_grouped.csv --task blast --config configs/blast.yaml --data $(DATA) $(NAMED) \
	  --out docs/results/blast.json --write-card > /dev/null
	$(BIN)/smearscan evaluate pipeline build/fine_grouped.csv --data $(DATA) --out docs/results/pipeline.json --write-card > /dev/null
	$(BIN)/smearscan evaluate coverage --out docs/results/coverage.json > /dev/null
	$(BIN)/smearscan evaluate pooled build/labeled.csv --out docs/results/pooled.json > /dev/null
	$(BIN)/smearscan evaluate pooled build/left_out/*.csv --unseen unlike --out docs/results/pooled_unseen.json > /dev/null
	$(BIN)/smearscan evaluate pooled build/left_out/*.csv --unseen unlike --specificity 0.95 --out docs/results/pooled_unseen_95.json > /dev/null
	$(BIN)/smearscan evaluate pooled build/left_out/photographed/*.csv --unseen known --out docs/results/pooled_unseen_known.json > /dev/null
	$(BIN)/python -m references published-slides $(DATA) --out docs/results/published_slides.json > /dev/null
	$(BIN)/python -m references corrections $(DATA) --out docs/results/correction_loop.json --into docs/review.md > /dev/null
	$(BIN)/python -m references corrections-training $(DATA) --out docs/results/correction_training.json --into docs/review.md > /dev/null
	$(MAKE) tables

# The figures of docs/results as they stand in the README and the pages.
tables: $(VENV)/.installed
	$(BIN)/python -m references table docs/results --part front --into README.md > /dev/null
	$(BIN)/python -m references table docs/results --into docs/measured.md > /dev/null
	$(BIN)/python -m references table docs/results --part statistics --into docs/statistics.md > /dev/null
	$(BIN)/python -m references trust docs/results --into docs/trust.md > /dev/null

# What takes new trainings: sites and patients the net never saw.
measure-unseen: $(VENV)/.installed build/yolov8n.safetensors
	for site in bccd txl_raabin "txl_pbc --exclude-site pbc" aria_all; do set -- $$site; \
	  $(BIN)/smearscan train detector --config configs/detector.yaml --data $(DATA) --start build/yolov8n.safetensors \
	    --exclude-site $$site --epochs 10 --out runs/without_$$1 && \
	  $(BIN)/smearscan evaluate detector --config configs/detector.yaml --data $(DATA) --site $$1 \
	    --weights runs/without_$$1/detector.safetensors --out docs/results/detector_without_$$1.json > /dev/null || exit 1; done
	$(BIN)/smearscan train classifier build/grouped.csv --config configs/differential.yaml --data $(DATA) --start $(RESNET) \
	  --exclude-site jtsc --exclude-site cellavision --exclude-site txl_raabin --epochs 6 --out runs/differential_unseen
	$(BIN)/smearscan evaluate classifier build/grouped.csv --weights $(UNSEEN) \
	  --config configs/differential.yaml --data $(DATA) --site jtsc --site cellavision --site txl_raabin --all-splits \
	  --out docs/results/differential_unseen.json > /dev/null
	$(BIN)/smearscan evaluate labeled build/grouped.csv --data $(DATA) --weights $(UNSEEN) --unseen jtsc \
	  --unseen cellavision --unseen txl_raabin --out build/unseen.csv
	$(BIN)/smearscan calibrate --cells build/unseen.csv --weights $(UNSEEN) --from-scratch --site bccd --site jhu_aml \
	  --site munich_lmu --site pbc --split val --error-rate 0.2 --out build/seen_sites.yaml > /dev/null
	$(BIN)/smearscan calibrate --cells build/unseen.csv --weights $(UNSEEN) --base build/seen_sites.yaml --site jtsc \
	  --split test --judge-split train --judge-split val --out build/jtsc.yaml \
	  --json docs/results/calibrate_site.json --plot docs/reliability_site.png > /dev/null

	$(MAKE) measure-patients measure-new-laboratory

# Patients of JHU and of LLD left out in turn: bodies that 'make nets' trained without the site go on with the others, and so do last layers.
measure-patients: $(VENV)/.installed build/fine_grouped.csv
	$(SMEARSCAN) crossval build/fine_grouped.csv $(TRAINED) --protocol kfold --config configs/lodo/cells_on.yaml --site jhu_aml --folds 3 \
	  --start "runs/lodo_cells/seed0/bccd+jhu_aml/cells.safetensors" --runs runs/kfold_jhu --keep-nets > /dev/null
	$(SMEARSCAN) crossval build/fine_grouped.csv $(TRAINED) --protocol kfold --config configs/blast.yaml --site jhu_aml \
	  --start runs/kfold_jhu --runs runs/blast_crossval > /dev/null
	cp runs/blast_crossval/results.json docs/results/blast_crossval.json
	$(SMEARSCAN) crossval build/fine.csv $(TRAINED) --allow-leaks --protocol kfold --config configs/blast.yaml --site lld \
	  --start runs/kfold_lld --runs runs/blast_lld > /dev/null
	cp runs/blast_lld/results.json docs/results/blast_lld.json

# A laboratory that no classifier has seen, LLD: the shipped differential, and the blast net and what names slides of unknown stain that
# 'make left-out' trains without it (and CellaVision, JTSC, TXL-Raabin), with a card of their errors on validation cells of the sites that
# they know. UNSEEN_NETS=runs/left_out/lld: those trained without LLD alone.
UNSEEN_NETS ?= runs/left_out/cellavision+jtsc+lld+txl_raabin
OWN    := $(foreach net,differential blast differential_unlike blast_unlike,--weights $(UNSEEN_NETS)/$(net).safetensors)
measure-new-laboratory: $(VENV)/.installed build/fine.csv
	cp weights/differential.safetensors weights/differential.yaml $(UNSEEN_NETS)/
	$(BIN)/python -m references as-known $(UNSEEN_NETS)/differential.safetensors $(UNSEEN_NETS)/blast.safetensors
	$(BIN)/smearscan evaluate labeled build/fine.csv --data $(DATA) $(OWN) $(NAMED) --out build/new.csv
	$(BIN)/smearscan calibrate --cells build/new.csv $(OWN) --from-scratch --split val --error-rate 0.15 \
	  $(foreach site,$(filter-out lld,$(SITES)),--left-out build/left_out/$(site).csv) \
	  --out $(UNSEEN_NETS)/calibration.yaml > /dev/null
	$(BIN)/python -m references unseen $(DATA) --nets $(UNSEEN_NETS) --out docs/results/unseen_leukemias.json > /dev/null
	$(BIN)/python -m references few-labels $(DATA) --nets $(UNSEEN_NETS) --out docs/results/few_labels.json --into docs/calibrate.md > /dev/null
	$(BIN)/python -m references labeled-scans $(DATA) --nets $(UNSEEN_NETS) --out docs/results/labeled_scans.json --into docs/calibrate.md > /dev/null

# Sites as laboratories that nets have not seen, each named by nets that were trained as the shipped ones, by shorter schedules, but
# without it (some sites together). The shipped differential never saw LLD. What 'make calibration' fits the card of slides of unknown
# stain to. About two hours on two cores; interrupted, it goes on.
NEW    := cellavision+jtsc+lld+txl_raabin
APART  := bccd jhu_aml lld txl_raabin munich_lmu+pbc $(NEW)
SITES  := bccd cellavision jhu_aml jtsc lld munich_lmu+pbc txl_raabin
left-out: $(VENV)/.installed build/fine.csv
	for views in cells cells_views; do for sites in "$(filter-out $(NEW),$(APART))" $(NEW); do \
	  $(SMEARSCAN) crossval $(FINE) --config configs/lodo/$$views.yaml --start $(RESNET) --protocol lodo $$(printf -- '--site %s ' $$sites) \
	    --runs runs/lodo_$$views --out runs/lodo_$$views/left_out > /dev/null || exit 1; done; done
	for site in $(APART); do without=$$(printf -- '--exclude-site %s ' $$(echo $$site | tr + ' ')); body=runs/lodo_mean/$$site/cells.safetensors; \
	  $(BIN)/python -m references mean-weights runs/lodo_cells/seed0/$$site/cells.safetensors runs/lodo_cells_views/seed0/$$site/cells.safetensors \
	    --config configs/lodo/cells.yaml --cells build/fine.csv $(PICTURES) $$without --out $$body && \
	  for net in blast blast_unlike differential_unlike; do $(SMEARSCAN) train classifier build/fine.csv --config configs/$$net.yaml $(TRAINED) \
	    --start $$([ $$net = blast ] && echo runs/lodo_cells/seed0/$$site/cells.safetensors || echo $$body) $$without \
	    --out runs/left_out/$$site || exit 1; done || exit 1; done
	$(SMEARSCAN) crossval build/grouped.csv $(TRAINED) --keep-nets --jobs $(JOBS) --config configs/lodo/differential.yaml --start $(RESNET) \
	  --protocol lodo $(foreach site,$(filter-out lld,$(SITES)),--site $(site)) --runs runs/lodo_differential > /dev/null
	for site in $(SITES); do mkdir -p runs/left_out/$$site build/left_out/photographed; \
	  case $$site in cellavision|jtsc) cp runs/left_out/$(NEW)/*.safetensors runs/left_out/$(NEW)/*.yaml runs/left_out/$$site/;; esac; \
	  cp $$([ $$site = lld ] && echo weights || echo runs/lodo_differential/seed0/$$site)/differential.* runs/left_out/$$site/ && \
	  $(BIN)/python -m references left-out build/fine.csv $(PICTURES) --config configs/cells.yaml --nets runs/left_out/$$site \
	    $$(printf -- '--site %s ' $$(echo $$site | tr + ' ')) --out build/left_out/$$site.csv && \
	  $(BIN)/python -m references left-out build/fine.csv $(PICTURES) --config configs/cells.yaml --nets runs/left_out/$$site --photographed \
	    $$(printf -- '--site %s ' $$(echo $$site | tr + ' ')) --out build/left_out/photographed/$$site.csv || exit 1; done

# The laboratory's own parts: removal of the background, and the leak guard.
measure-lab: $(VENV)/.installed
	$(BIN)/python -m references background --data $(DATA) --out docs/results/background.json > /dev/null
	$(BIN)/python -m references leaks build/located.csv --data $(DATA) --out docs/results/leaks.json > /dev/null

# Each data set left out once: the shipped way of training, the same backbone without what makes it cross sites, and the blast net.
# About three hours on one core; interrupted, it goes on.
lodo: $(VENV)/.installed
	for net in differential differential_plain blast; do \
	  $(BIN)/smearscan crossval build/grouped.csv --protocol lodo --config configs/lodo/$$net.yaml --data $(DATA) --start $(RESNET) \
	    --runs runs/lodo_$$net --out docs/results/lodo_$$net > /dev/null || exit 1; done

# Trainings of the net of fine types for its figures: groups of sites left out, LLD's patients left out in turn. Interrupted, it goes
# on. The leak guard finds one pair of cells alike in JHU and LLD; it was looked at: two cells of two hospitals. About an hour and a half on
# one core with one seed. On a GPU, from one file, without the photographs:
#   make build/cells.npz, then there: make nets CELLS=build/cells.npz DEVICE=cuda JOBS=6 SEEDS=3 LEFT_OUT="bccd jhu_aml ..."
# (SMEARSCAN and RESNET say where things are, -o $(VENV)/.installed spares the environment.)
CELLS    ?= build/fine.csv
DEVICE   ?= cpu
JOBS     ?= 1
SEEDS    ?= 1
LEFT_OUT ?= bccd+jhu_aml cellavision+jtsc+lld+txl_raabin munich_lmu+pbc
SMEARSCAN ?= $(BIN)/smearscan
PICTURES := --data $(if $(filter %.npz,$(CELLS)),$(CELLS),$(DATA))
TRAINED  := $(PICTURES) --device $(DEVICE)
FINE     := $(CELLS) $(TRAINED) --allow-leaks --keep-nets --jobs $(JOBS) --repeats $(SEEDS)
nets: $(VENV)/.installed $(CELLS)
	$(SMEARSCAN) crossval $(FINE) --config configs/lodo/cells.yaml --start $(RESNET) --protocol lodo \
	  $(foreach sites,$(LEFT_OUT),--site $(sites)) --runs runs/lodo_cells --out docs/results/lodo_cells > /dev/null
	for task in differential blast; do $(SMEARSCAN) evaluate transfer runs/lodo_cells/out_of_fold_$$task.csv \
	  --out docs/results/transfer_$$task.json > /dev/null || exit 1; done
	$(BIN)/python -m references stain-views runs/lodo_cells --config configs/lodo/cells.yaml $(PICTURES) \
	  $(foreach site,bccd cellavision jtsc lld txl_raabin,--site $(site)) --out docs/results/stain_views.json > /dev/null
	$(SMEARSCAN) crossval $(FINE) --config configs/lodo/cells_on.yaml --start runs/lodo_cells/seed0/*lld*/cells.safetensors \
	  --protocol kfold --folds 2 --site lld --runs runs/kfold_lld --out docs/results/kfold_lld > /dev/null

build/fine.csv: $(VENV)/.installed
	$(BIN)/python -m references published $(DATA) --fine --out $@ --detector shipped

build/cells.npz: build/fine.csv
	$(SMEARSCAN) dataset pack $< --data $(DATA) --out $@

# How far the stain ruler depends on which cells a slide holds.
stain: build/fine.csv
	$(BIN)/python -m references stain build/fine.csv --config configs/cells.yaml --data $(DATA) --site jhu_aml --site lld \
	  --out docs/results/stain.json > /dev/null

# The published systems side by side, by a short schedule (about half an hour on one core): docs/seeds.md. Interrupted, it goes on.
SHORT := --crop-px 64 --epochs 2 --epoch-cells 480 --cached-epochs 10
FOUR  := $(foreach site,bccd txl_raabin pbc jtsc cellavision jhu_aml,--site $(site))
seeds: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/smearscan compare $(filter-out configs/seeds/beato_%,$(wildcard configs/seeds/*.yaml)) \
	  build/grouped.csv --data $(DATA) --site jhu_aml --site munich_lmu --per-kind 300 $(SHORT) --start resnet18=$(RESNET) \
	  --runs runs/seeds_blast --out docs/results/seeds_blast --into docs/seeds.md --part blast > /dev/null
	OMP_NUM_THREADS=1 $(BIN)/smearscan compare $(wildcard configs/seeds/beato_*.yaml) build/grouped.csv --data $(DATA) \
	  $(FOUR) --per-kind 60 $(SHORT) \
	  --runs runs/seeds_types --out docs/results/seeds_types --into docs/seeds.md --part types > /dev/null

# A scan killed at fifty random moments goes on to the same reports, to the last byte.
kill-test: $(VENV)/.installed
	$(BIN)/python tests/unit/kill_run.py 50 docs/results/kill_test.json

# 20,000 drawn fields in one process: does its memory stay? MINUTES=15 ends it sooner.
soak: $(VENV)/.installed
	$(BIN)/python -m benchmarks.soak --out docs/results/soak.json $(if $(MINUTES),--minutes $(MINUTES))

# Hundreds of bad and odd inputs beside sound ones, some minutes: the table of docs/bad_inputs.md. PROGRAM=make_pictures.py scans what a
# program makes of a drawn field in its place.
bad-inputs: $(VENV)/.installed
	$(BIN)/python -m references bad-inputs $(if $(PROGRAM),--program $(PROGRAM),--into docs/bad_inputs.md --out docs/results/bad_inputs.json) > /dev/null

# Every parser of foreign bytes for SECONDS=60 each, coverage-guided (atheris).
fuzz: $(VENV)/.fuzz
	$(BIN)/python -m references fuzz --seconds $(or $(SECONDS),60) --out docs/results/fuzz.json > /dev/null

$(VENV)/.fuzz: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[fuzz]'
	touch $@

# The small slides of OpenSlide's own tests (SVS, DICOM, TIFF, broken ones), out of its source package. Seconds; needs PyPI.
openslide-test: $(VENV)/.installed
	rm -rf build/openslide && mkdir -p build/openslide
	$(BIN)/python -m pip download --quiet --no-deps --no-binary openslide-python openslide-python --dest build/openslide
	tar -xzf build/openslide/openslide_python-*.tar.gz -C build/openslide --strip-components=3 --wildcards '*/tests/fixtures/*'
	$(BIN)/python -m pytest tests/openslide

# A drawn whole slide of 20,480 px each way, read whole and in part, every cell compared with what was drawn; its table in
# docs/whole_slides.md. Some minutes.
film: $(VENV)/.installed
	$(BIN)/python -m benchmarks.whole_film

# The same at 80,000 x 60,000 px, 4.8 gigapixels, most of them thick, with its memory: minutes of a core, 2 GB of disk.
large-film: $(VENV)/.installed
	$(BIN)/python -m benchmarks.whole_film --size 80000x60000 --layer 0.04 --pieces 1 --read all --orders 0 \
	  --section "large film" --json docs/results/whole_film_large.json

# A drawn film of some 70,000 leukocytes with a thick and a feathered part: half an hour of a core.
crowded-film: $(VENV)/.installed
	$(BIN)/python -m benchmarks.whole_film --size 31744x31744 --leukocytes 100 --read all --read 200 --orders 0 \
	  --section "film of 60,000 cells" --json docs/results/whole_film_60000.json

# How far drawn films of several bloods are read until settled, and how often the flag is another than the whole film's.
sequential-reading: $(VENV)/.installed
	$(BIN)/python -m benchmarks.sequential_reading

# Twenty slides of 100 fields beside one of 2,000, in turn: its table in docs/many_slides.md. Some minutes.
in-flight: $(VENV)/.installed
	$(BIN)/python -m benchmarks.slides_in_flight

# Ray on two local nodes, a worker killed in the middle: the same tables to the byte. Needs the extra ray; two minutes.
cluster-test: $(VENV)/.installed
	$(BIN)/python -m pytest tests/cluster -s

# A scan by one worker of Ray against the plain one, on the same cores, in turn: its table in docs/many_slides.md. Some minutes.
cluster-cost: $(VENV)/.installed
	$(BIN)/python -m benchmarks.cluster

# Slides from a server that speaks S3, on this machine alone. Seconds; installs the extra cloud and moto.
cloud-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[cloud]' 'moto[server]'
	$(BIN)/python -m pytest tests/cloud

bench: $(VENV)/.installed
	$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-columns=median,iqr,rounds

# All tables of docs/performance.md: on a machine with nothing else to do, about three quarters of an hour. QUICK=1
# shows that it runs, in about six minutes, and writes to build/benchmarks. What needs DATA or nncf is left out without.
performance: $(VENV)/.installed
	$(BIN)/python -m benchmarks.performance --data $(DATA) $(if $(QUICK),--quick)

# The review page of 5,000 cells in Chromium, some minutes: its table in docs/review.md.
performance-page: $(VENV)/.installed
	$(BIN)/python -m benchmarks.review_page

# The versions that are installed here, on which the tests run, each file with its hash: docs/trust.md.
lock: $(VENV)/.audit
	mkdir -p build/audit
	$(BIN)/python -m pip freeze --exclude-editable > build/audit/installed.txt
	$(BIN)/uv pip compile pyproject.toml $(foreach extra,exports wsi sign,--extra $(extra)) --universal --python-version 3.11 \
	  --constraint build/audit/installed.txt --no-annotate --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" --quiet --output-file requirements/lock.txt

# What is installed here, as a bill of materials (CycloneDX) and by license; needs no network.
sbom: $(VENV)/.audit
	mkdir -p build/audit
	$(BIN)/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --mc-type application --output-reproducible \
	  --output-format JSON --output-file build/audit/sbom.json
	$(BIN)/python -m references licenses build/audit/sbom.json --out build/audit/licenses.md

# And whether the lock file fits, and what is known against its versions: asks the Python Packaging Advisory Database over the network, and
# says so and fails where that does not answer.
audit: sbom
	$(BIN)/python -m pytest tests/unit/test_lock.py
	$(BIN)/python -m references vulnerabilities requirements/lock.txt

$(VENV)/.audit: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[audit]'
	touch $@

# Slides an hour for machines of any size, from docs/results: docs/sizing.md. Seconds.
sizing: $(VENV)/.installed
	$(BIN)/python -m benchmarks.sizing

wheel: $(VENV)/.installed
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) demo build dist
